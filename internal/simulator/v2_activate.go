package simulator

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is what matters in one v2 activation row.
type row struct {
	network  string // prod or staging
	property string
	status   string // of the policy, in capitals
	version  int64
}

func readRow(o object) row {
	r := row{network: legacyNetwork(o.text("network"))}
	if info := o.get("policyInfo"); len(info) > 0 && info[0] == '{' {
		policy := splitObject(info)
		r.status = strings.ToUpper(policy.text("status"))
		r.version, _ = policy.number("version")
	}
	if info := o.get("propertyInfo"); len(info) > 0 && info[0] == '{' {
		r.property = splitObject(info).text("name")
	}
	return r
}

// withStatus is the row with another status of the policy.
func withStatus(o object, status, detail string, code int64) object {
	info := splitObject(o.get("policyInfo")).copied().set("status", quote(status))
	info = info.set("statusDetail", quote(detail)).set("detailCode", number(code))
	return o.copied().set("policyInfo", info.bytes())
}

func newRow(p *policy, number int64, network, user string, property object, at time.Time) object {
	info := template(`{"policyId":%d,"name":%s,"version":%d,"status":"PENDING","statusDetail":"batched","detailCode":1000,`+
		`"activatedBy":%s,"activationDate":%d}`, p.id, quote(p.name), number, quote(user), at.UnixMilli())
	group, _ := property.number("groupId")
	where := template(`{"name":%s,"version":1,"groupId":%d,"status":"INACTIVE","activatedBy":null,"activationDate":0}`,
		quote(property.text("name")), group)
	return template(`{"serviceVersion":null,"apiVersion":"2.0","network":%s,"policyInfo":%s,"propertyInfo":%s}`,
		quote(network), info.bytes(), where.bytes())
}

// activateLegacy takes the version from the path or, at the policy's own activations, from the body (Cloudlets API v2,
// Activate a policy version).
func (s *Server) activateLegacy(c *call) (*reply, error) {
	p, err := s.legacyOf(c)
	if err != nil {
		return nil, err
	}
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	wanted, _ := body.number("version")
	if len(c.args) > 1 {
		wanted, _ = strconv.ParseInt(c.args[1], 10, 64)
	}
	v := p.version(wanted)
	network := legacyNetwork(body.text("network"))
	switch {
	case v == nil || v.deleted || p.deleted:
		return nil, notFound("Policy Version %d not found in Policy %d", wanted, p.id)
	case network != "prod" && network != "staging":
		return nil, invalid("network must be staging or prod")
	}
	properties, err := s.associate(p, body.get("additionalPropertyNames"))
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(s.account.view(p).rows, func(o object) bool {
		r := readRow(o)
		// Edge Redirector cannot be under way on both networks at once (terraform-provider-akamai issue 612).
		return r.status == "PENDING" && (r.network == network || p.code == "ER")
	}) {
		return nil, s.running(p.id, network)
	}
	headers, err := s.limits.take(limitLegacy, c.now)
	if err != nil {
		return nil, err
	}
	a := s.account
	rows := a.startLegacy(p, v, network, properties, c.now)
	s.finishLater(s.opt.ActivationTime, c.now, func(time.Time) {
		failure := s.failure(Activation{Policy: p.id, Version: wanted, Network: body.text("network")})
		a.finishLegacy(p, wanted, network, failure)
	})
	texts := make([][]byte, len(rows))
	for i, r := range rows {
		texts[i] = r.bytes()
	}
	return &reply{status: http.StatusOK, header: headers, body: list(texts)}, nil
}

func (s *Server) running(policy int64, network string) error {
	p := conflict("The previous activation of policy %d on network %s is pending", policy, network)
	if s.opt.RunningStatus == http.StatusBadRequest {
		p = invalid("The previous activation of policy %d on network %s is pending", policy, network)
	}
	return p
}

func (s *Server) failure(a Activation) string {
	if s.opt.FailActivation == nil {
		return ""
	}
	return s.opt.FailActivation(a)
}

// finishLater runs the end of an activation when its time is over, at once when it takes none.
func (s *Server) finishLater(d time.Duration, now time.Time, run func(at time.Time)) {
	if d < 0 {
		run(now)
		return
	}
	s.account.after(now.Add(d), run)
}

// associate gives the properties that the policy is activated with: those it has and those named, which it has from now
// on (Cloudlets API v2, Policy activation).
func (s *Server) associate(p *policy, names []byte) ([]object, error) {
	a := s.account
	missing, err := a.unassociated(p, names)
	if err != nil {
		return nil, err
	}
	if len(missing) == 0 && len(a.view(p).properties) == 0 {
		return nil, invalid("Policy %d is not associated with a property", p.id)
	}
	held := a.hold(p)
	held.properties = held.properties.copied()
	for _, property := range missing {
		held.properties = held.properties.set(property.text("name"), property.bytes())
		if !a.properties.has(property.text("name")) {
			a.properties = a.properties.set(property.text("name"), property.bytes())
		}
	}
	var all []object
	for _, m := range held.properties {
		if len(m.value) > 0 && m.value[0] == '{' {
			all = append(all, splitObject(m.value).copied().set("name", quote(m.key)))
		}
	}
	return all, nil
}

// unassociated is a new entry for each property named that the policy does not have yet.
func (a *Account) unassociated(p *policy, names []byte) ([]object, error) {
	if len(names) == 0 || names[0] != '[' {
		return nil, nil
	}
	var missing []object
	for _, text := range splitArray(names) {
		if text[0] != '"' {
			return nil, invalid("additionalPropertyNames must be strings")
		}
		name := unquote(text)
		if a.view(p).properties.has(name) {
			continue
		}
		group, known := a.propertyGroup(name)
		if !known {
			return nil, invalid("Property %s not found", name)
		}
		missing = append(missing, newProperty(name, group, p.name))
	}
	return missing, nil
}

func newProperty(name string, group int64, policy string) object {
	return template(`{"groupId":%d,"name":%s,"newestVersion":{"activatedBy":null,"activationDate":null,"cloudletsOrigins":{},`+
		`"version":1,"referencedPolicies":[%s]},"production":null,"staging":null}`, group, quote(name), quote(policy))
}

// propertyGroup finds a property among those of the account and of its groups.
func (a *Account) propertyGroup(name string) (int64, bool) {
	if text := a.properties.get(name); len(text) > 0 && text[0] == '{' {
		group, _ := splitObject(text).number("groupId")
		return group, true
	}
	for _, g := range a.groups {
		texts := g.get("properties")
		if len(texts) == 0 || texts[0] != '[' {
			continue
		}
		for _, text := range splitArray(texts) {
			if text[0] == '"' && unquote(text) == name {
				group, _ := g.number("groupId")
				return group, true
			}
		}
	}
	return 0, false
}

// startLegacy adds PENDING rows and locks the version.
func (a *Account) startLegacy(p *policy, v *version, network string, properties []object, at time.Time) []object {
	held := a.hold(p)
	var rows []object
	for _, property := range properties {
		rows = append(rows, newRow(p, v.number, network, a.user, property, at))
	}
	if len(properties) == 0 {
		rows = append(rows, newRow(p, v.number, network, a.user, nil, at).set("propertyInfo", []byte("null")))
	}
	held.rows = append(slices.Clone(rows), held.rows...)
	doc := a.holdVersion(p, v)
	doc.doc = doc.doc.copied().set("rulesLocked", []byte("true"))
	a.refreshLegacy(p, v.number)
	return rows
}

// finishLegacy makes the pending rows of a version ACTIVE and those active before DEACTIVATED, or the pending ones FAILED.
func (a *Account) finishLegacy(p *policy, wanted int64, network, failure string) {
	held := a.hold(p)
	touched := []int64{wanted}
	rows := slices.Clone(held.rows)
	for i, o := range rows {
		r := readRow(o)
		switch {
		case r.network != network:
		case r.status == "PENDING" && r.version == wanted && failure == "":
			rows[i] = withStatus(o, "ACTIVE", "File successfully deployed to Akamai's network", 4000)
		case r.status == "PENDING" && r.version == wanted:
			rows[i] = withStatus(o, "FAILED", failure, 5000)
		case r.status == "ACTIVE" && failure == "":
			rows[i] = withStatus(o, "DEACTIVATED", "", 0)
			touched = append(touched, r.version)
		}
	}
	held.rows = rows
	a.refreshLegacy(p, touched...)
}

// refreshLegacy writes the activation rows into the policy (those active or pending) and into the versions touched
// (the newest of every network and property).
func (a *Account) refreshLegacy(p *policy, touched ...int64) {
	held := a.hold(p)
	var current [][]byte
	of := map[int64][][]byte{}
	seen := map[row]bool{}
	for _, o := range held.rows {
		r := readRow(o)
		if r.status == "ACTIVE" || r.status == "PENDING" {
			current = append(current, o.bytes())
		}
		key := row{network: r.network, property: r.property, version: r.version}
		if !seen[key] {
			seen[key] = true
			of[r.version] = append(of[r.version], o.bytes())
		}
	}
	held.doc = held.doc.copied().set("activations", list(current).joined())
	for _, n := range touched {
		if v := p.version(n); v != nil {
			doc := a.holdVersion(p, v)
			doc.doc = doc.doc.copied().set("activations", list(of[n]).joined())
		}
	}
}

// isLive says whether the policy is active or being activated on a network.
func (a *Account) isLive(p *policy) bool {
	if p.shared {
		return slices.ContainsFunc(p.versions, func(v version) bool { return a.liveVersion(p, v.number) })
	}
	return slices.ContainsFunc(a.view(p).rows, func(o object) bool {
		r := readRow(o)
		return r.status == "ACTIVE" || r.status == "PENDING"
	})
}
