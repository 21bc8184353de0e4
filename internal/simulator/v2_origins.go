package simulator

import (
	"cmp"
	"encoding/hex"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const balancing = "APPLICATION_LOAD_BALANCER"

// listOrigins lists all origins or those of a type (Cloudlets API v2, List cloudlets origins, which names types in two ways).
func (s *Server) listOrigins(c *call) (*reply, error) {
	kind := c.query.Get("type")
	switch strings.ToLower(kind) {
	case "alb":
		kind = balancing
	case "customer", "netstorage":
		kind = strings.ToUpper(kind)
	}
	var texts [][]byte
	for _, o := range s.account.origins {
		if kind == "" || o.kind == kind {
			texts = append(texts, o.doc.bytes())
		}
	}
	return ok(list(texts)...), nil
}

func (s *Server) originOf(c *call) (*origin, error) {
	if o := s.account.origin(c.args[0]); o != nil {
		return o, nil
	}
	return nil, notFound("Origin %s not found", c.args[0])
}

// getOrigin answers one object, as the SDK reads it; the old document prints an array of one.
func (s *Server) getOrigin(c *call) (*reply, error) {
	o, err := s.originOf(c)
	if err != nil {
		return nil, err
	}
	return ok(o.doc.bytes()), nil
}

// createOrigin takes the id from the path, as the old document does, or from the body, as its workflow and the SDK do.
func (s *Server) createOrigin(c *call) (*reply, error) {
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	id := body.text("originId")
	if len(c.args) > 0 {
		id = c.args[0]
	}
	if id == "" {
		return nil, invalid("originId must not be empty")
	}
	if s.account.origin(id) != nil {
		return nil, conflict("Origin %s already exists", id)
	}
	description := body.get("description")
	if description == nil {
		description = []byte("null")
	}
	o := s.account.addOrigin(id, balancing, "", description)
	return &reply{status: http.StatusCreated, body: chunks{o.doc.bytes()}}, nil
}

func (a *Account) addOrigin(id, kind, hostname string, description []byte) *origin {
	h := fnv.New128a()
	_, _ = h.Write([]byte(id + kind)) // never fails (hash.Hash)
	doc := template(`{"originId":%s,"checksum":"%s","description":%s,"type":%s,"akamaized":false}`,
		quote(id), hex.EncodeToString(h.Sum(nil)), description, quote(kind))
	if hostname != "" {
		doc = doc.set("hostname", quote(hostname))
	}
	o := &origin{id: id, kind: kind, doc: doc}
	a.origins = append(a.origins, o)
	return o
}

// updateOrigin changes the description of a load balancing configuration.
func (s *Server) updateOrigin(c *call) (*reply, error) {
	o, err := s.balancerOf(c)
	if err != nil {
		return nil, err
	}
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	if body.has("description") {
		o.doc = o.doc.copied().set("description", body.get("description"))
	}
	return ok(o.doc.bytes()), nil
}

func (s *Server) balancerOf(c *call) (*origin, error) {
	o, err := s.originOf(c)
	if err == nil && o.kind != balancing {
		return nil, invalid("Origin %s is not of type %s", o.id, balancing)
	}
	return o, err
}

// originVersions lists the newest first, whole list at once, without what only one version shows (Cloudlets API v2, List
// load balancing versions).
func (s *Server) originVersions(c *call) (*reply, error) {
	o, err := s.balancerOf(c)
	if err != nil {
		return nil, err
	}
	var texts [][]byte
	for _, v := range slices.Backward(o.versions) {
		texts = append(texts, v.doc.without("balancingType", "dataCenters", "livenessSettings", "warnings").bytes())
	}
	return ok(list(texts)...), nil
}

func (s *Server) originVersion(c *call) (*reply, error) {
	_, v, err := s.originVersionOf(c)
	if err != nil {
		return nil, err
	}
	return ok(v.doc.bytes()), nil
}

func (s *Server) originVersionOf(c *call) (*origin, *heldOrigin, error) {
	o, err := s.balancerOf(c)
	if err != nil {
		return nil, nil, err
	}
	n, err := strconv.ParseInt(c.args[1], 10, 64)
	if v := o.version(n); err == nil && v != nil {
		return o, v, nil
	}
	return nil, nil, notFound("Version %s not found in origin %s", c.args[1], o.id)
}

func (o *origin) version(n int64) *heldOrigin {
	i, found := slices.BinarySearchFunc(o.versions, n, func(v heldOrigin, n int64) int { return cmp.Compare(v.number, n) })
	if !found {
		return nil
	}
	return &o.versions[i]
}

func (s *Server) createOriginVersion(c *call) (*reply, error) {
	o, err := s.balancerOf(c)
	if err != nil {
		return nil, err
	}
	body, err := checkBalancing(c)
	if err != nil {
		return nil, err
	}
	v := s.account.addOriginVersion(o, body)
	return &reply{status: http.StatusCreated, body: chunks{v.doc.bytes()}}, nil
}

func checkBalancing(c *call) (object, error) {
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	if kind := body.text("balancingType"); !body.null("balancingType") && kind != "WEIGHTED" && kind != "PERFORMANCE" {
		return nil, invalid("balancingType must be WEIGHTED or PERFORMANCE")
	}
	if text := body.get("dataCenters"); text != nil && text[0] != '[' && text[0] != 'n' {
		return nil, invalid("dataCenters must be an array")
	}
	return body, nil
}

func (a *Account) addOriginVersion(o *origin, body object) *heldOrigin {
	n := int64(1)
	if len(o.versions) > 0 {
		n = o.versions[len(o.versions)-1].number + 1
	}
	now := quote(isoTime(a.clock()))
	doc := body.without("warnings").set("createdBy", quote(a.user)).set("createdDate", now).set("deleted", []byte("false"))
	doc = doc.set("immutable", []byte("false")).set("lastModifiedBy", quote(a.user)).set("lastModifiedDate", now)
	doc = doc.set("originId", quote(o.id)).set("version", number(n))
	if !doc.has("description") {
		doc = doc.set("description", []byte("null"))
	}
	o.versions = append(o.versions, heldOrigin{n, doc})
	return &o.versions[len(o.versions)-1]
}

// updateOriginVersion refuses a version that was ever activated (Cloudlets API v2, Update a load balancing version).
func (s *Server) updateOriginVersion(c *call) (*reply, error) {
	o, v, err := s.originVersionOf(c)
	if err != nil {
		return nil, err
	}
	body, err := checkBalancing(c)
	if err != nil {
		return nil, err
	}
	if v.doc.is("immutable") {
		return nil, conflict("Version %d of origin %s was activated and cannot be edited", v.number, o.id)
	}
	doc := v.doc.copied()
	for _, m := range body.without("version", "originId", "originID", "immutable", "createdBy", "createdDate") {
		doc = doc.set(m.key, m.value)
	}
	v.doc = doc.set("lastModifiedBy", quote(s.account.user)).set("lastModifiedDate", quote(isoTime(c.now)))
	return ok(v.doc.bytes()), nil
}

func (s *Server) originActivations(c *call) (*reply, error) {
	o, err := s.balancerOf(c)
	if err != nil {
		return nil, err
	}
	texts := make([][]byte, len(o.rows))
	for i, r := range o.rows {
		texts[i] = r.bytes()
	}
	return ok(list(texts)...), nil
}

// currentBalancing maps origins and networks to the activation in use (Cloudlets API v2, List current load balancing
// activations).
func (s *Server) currentBalancing(*call) (*reply, error) {
	all := object{}
	for _, o := range s.account.origins {
		networks := object{}
		for _, network := range []string{"PRODUCTION", "STAGING"} {
			for _, r := range o.rows {
				if r.text("network") == network && strings.EqualFold(r.text("status"), "active") {
					networks = networks.set(network, r.bytes())
					break
				}
			}
		}
		if len(networks) > 0 {
			all = all.set(o.id, networks.bytes())
		}
	}
	return ok(all.bytes()), nil
}

// activateOrigin starts the activation of a load balancing version; with dryrun it only says that it could (Cloudlets API
// v2, Activate a load balancing version). The answer is one object, as the SDK reads it.
func (s *Server) activateOrigin(c *call) (*reply, error) {
	o, err := s.balancerOf(c)
	if err != nil {
		return nil, err
	}
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	n, _ := body.number("version")
	v := o.version(n)
	network := body.text("network")
	switch {
	case v == nil || v.doc.is("deleted"):
		return nil, notFound("Version %s not found in origin %s", body.get("version"), o.id)
	case network != "STAGING" && network != "PRODUCTION":
		return nil, invalid("network must be STAGING or PRODUCTION")
	case slices.ContainsFunc(o.rows, func(r object) bool { return r.text("network") == network && r.text("status") == "pending" }):
		p := conflict("The previous activation of origin %s on network %s is pending", o.id, network)
		p.status = s.opt.RunningStatus
		return nil, p
	}
	headers, err := s.limits.take(limitBalancing, c.now)
	if err != nil {
		return nil, err
	}
	started := newOriginRow(o, n, network, "pending", s.account.user, c.now)
	if body.is("dryrun") {
		return &reply{status: http.StatusOK, header: headers, body: chunks{started.set("dryrun", []byte("true")).set("status", []byte(`"inactive"`)).bytes()}}, nil
	}
	o.rows = append([]object{started}, o.rows...)
	v.doc = v.doc.copied().set("immutable", []byte("true"))
	s.finishLater(s.opt.BalancingTime, c.now, func(time.Time) {
		o.finish(n, network, s.failure(Activation{Version: n, Origin: o.id, Network: network}))
	})
	return &reply{status: http.StatusOK, header: headers, body: chunks{o.rows[0].bytes()}}, nil
}

func newOriginRow(o *origin, n int64, network, status, user string, at time.Time) object {
	return template(`{"activatedBy":%s,"activatedDate":%s,"network":%s,"originId":%s,"status":%s,"dryrun":false,"version":%d}`,
		quote(user), quote(isoTime(at)), quote(network), quote(o.id), quote(status), n)
}

// finish ends the pending activation of a version.
func (o *origin) finish(n int64, network, failure string) {
	rows := slices.Clone(o.rows)
	for i, r := range rows {
		v, _ := r.number("version")
		switch {
		case r.text("network") != network:
		case r.text("status") == "pending" && v == n && failure == "":
			rows[i] = r.copied().set("status", []byte(`"active"`))
		case r.text("status") == "pending" && v == n:
			rows[i] = r.copied().set("status", []byte(`"failed"`)).set("statusDetail", quote(failure))
		case r.text("status") == "active" && failure == "":
			rows[i] = r.copied().set("status", []byte(`"deactivated"`))
		}
	}
	o.rows = rows
}
