package simulator

import (
	"net/http"
	"slices"
	"time"
)

const (
	inProgress = "IN_PROGRESS"
	succeeded  = "SUCCESS"
	failed     = "FAILED"
)

// activateShared starts an activation or deactivation (Cloudlets API v3, Activate a policy version). One may be under way
// for a policy and network (Concurrency control).
func (s *Server) activateShared(c *call) (*reply, error) {
	p, err := s.sharedOf(c)
	if err != nil {
		return nil, err
	}
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	network, operation := body.text("network"), body.text("operation")
	wanted, isNumber := body.number("policyVersion")
	switch {
	case network != "STAGING" && network != "PRODUCTION":
		return nil, invalidField("network", body.get("network"), "network must be one of STAGING, PRODUCTION")
	case operation != "ACTIVATION" && operation != "DEACTIVATION":
		return nil, invalidField("operation", body.get("operation"), "operation must be one of ACTIVATION, DEACTIVATION")
	case !isNumber:
		return nil, invalidField("policyVersion", body.get("policyVersion"), "policyVersion must not be null")
	}
	a := s.account
	v := p.version(wanted)
	if v == nil {
		return nil, notFound("Policy Version %d not found in Policy %d", wanted, p.id)
	}
	if slices.ContainsFunc(a.view(p).rows, func(o object) bool {
		return o.text("status") == inProgress && o.text("network") == network
	}) {
		return nil, s.running(p.id, network)
	}
	if operation == "DEACTIVATION" && a.effective(p, network) != wanted {
		return nil, invalid("Policy Version %d is not active on network %s", wanted, network)
	}
	headers, err := s.limits.take(limitShared, c.now)
	if err != nil {
		return nil, err
	}
	id := a.startShared(p, v, network, operation, c.now)
	s.finishLater(s.opt.ActivationTime, c.now, func(at time.Time) {
		a.finishShared(p, id, at, s.failure(Activation{Policy: p.id, Version: wanted, Network: network}))
	})
	return &reply{status: http.StatusAccepted, header: headers, body: chunks{a.view(p).rows[0].bytes()}}, nil
}

// startShared adds a row that is IN_PROGRESS; activating a version makes it immutable for good.
func (a *Account) startShared(p *policy, v *version, network, operation string, at time.Time) int64 {
	id := a.nextActivation
	a.nextActivation++
	held := a.hold(p)
	started := template(`{"createdBy":%s,"createdDate":%s,"finishDate":null,"id":%d,"network":%s,"operation":%s,"policyId":%d,`+
		`"status":"IN_PROGRESS","policyVersion":%d,"failureDetails":null,`+
		`"links":[{"href":"/cloudlets/v3/policies/%d/activations/%d","rel":"self"}]}`,
		quote(a.user), quote(isoTime(at)), id, quote(network), quote(operation), p.id, v.number, p.id, id)
	held.rows = append([]object{started}, held.rows...)
	if operation == "ACTIVATION" {
		doc := a.holdVersion(p, v)
		doc.doc = doc.doc.copied().set("immutable", []byte("true"))
	}
	a.refreshShared(p)
	return id
}

// finishShared ends the activation of that id.
func (a *Account) finishShared(p *policy, id int64, at time.Time, failure string) {
	held := a.hold(p)
	rows := slices.Clone(held.rows)
	for i, o := range rows {
		if n, _ := o.number("id"); n != id {
			continue
		}
		status := succeeded
		o = o.copied().set("finishDate", quote(isoTime(at)))
		if failure != "" {
			status = failed
			o = o.set("failureDetails", quote(failure))
		}
		rows[i] = o.set("status", quote(status))
	}
	held.rows = rows
	a.refreshShared(p)
}

// refreshShared writes latest and effective of both networks into the policy (Cloudlets API v3, Policy members).
func (a *Account) refreshShared(p *policy) {
	held := a.hold(p)
	held.doc = held.doc.copied().set("currentActivations", currentShared(held.rows))
}

func currentShared(rows []object) []byte {
	network := func(name string) []byte {
		latest, effective := []byte("null"), []byte("null")
		for _, o := range slices.Backward(rows) { // oldest first
			if o.text("network") != name {
				continue
			}
			latest = o.bytes()
			switch {
			case o.text("status") != succeeded:
			case o.text("operation") == "DEACTIVATION":
				effective = []byte("null")
			default:
				effective = o.bytes()
			}
		}
		return template(`{"latest":%s,"effective":%s}`, latest, effective).bytes()
	}
	return template(`{"production":%s,"staging":%s}`, network("PRODUCTION"), network("STAGING")).bytes()
}

// effective is the number of the version in use on a network, or 0.
func (a *Account) effective(p *policy, network string) int64 {
	for _, o := range a.view(p).rows {
		if o.text("network") != network || o.text("status") != succeeded {
			continue
		}
		if o.text("operation") == "DEACTIVATION" {
			return 0
		}
		n, _ := o.number("policyVersion")
		return n
	}
	return 0
}

// liveVersion says whether the version of a shared policy is active or being activated on a network.
func (a *Account) liveVersion(p *policy, n int64) bool {
	if a.effective(p, "STAGING") == n || a.effective(p, "PRODUCTION") == n {
		return true
	}
	return slices.ContainsFunc(a.view(p).rows, func(o object) bool {
		m, _ := o.number("policyVersion")
		return m == n && o.text("status") == inProgress
	})
}
