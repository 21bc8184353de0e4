package simulator

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// route is one operation of the API. A segment "*" takes any value, which becomes an argument of the call.
type route struct {
	method   string
	segments []string
	run      func(c *call) (*reply, error)
}

// table lists the operations (Cloudlets API v2 and v3, API summary).
func (s *Server) table() []route {
	var routes []route
	add := func(line string, run func(c *call) (*reply, error)) {
		method, path, _ := strings.Cut(line, " ")
		routes = append(routes, route{method, strings.Split(strings.TrimPrefix(path, "/"), "/"), run})
	}
	const v2, v3 = "/cloudlets/api/v2", "/cloudlets/v3"
	for line, run := range map[string]func(c *call) (*reply, error){
		"GET " + v2 + "/cloudlet-info":                      s.legacyTypes,
		"GET " + v2 + "/cloudlet-info/*":                    s.legacyType,
		"GET " + v2 + "/group-info":                         s.listGroups,
		"GET " + v2 + "/group-info/*":                       s.getGroup,
		"GET " + v2 + "/properties":                         s.accountProperties,
		"GET " + v2 + "/policies":                           s.listLegacy,
		"POST " + v2 + "/policies":                          s.createLegacy,
		"GET " + v2 + "/policies/*":                         s.legacyPolicy,
		"PUT " + v2 + "/policies/*":                         s.updateLegacy,
		"DELETE " + v2 + "/policies/*":                      s.deleteLegacy,
		"GET " + v2 + "/policies/*/properties":              s.legacyProperties,
		"GET " + v2 + "/policies/*/activations":             s.legacyActivations,
		"POST " + v2 + "/policies/*/activations":            s.activateLegacy,
		"GET " + v2 + "/policies/*/versions":                s.legacyVersions,
		"POST " + v2 + "/policies/*/versions":               s.createLegacyVersion,
		"GET " + v2 + "/policies/*/versions/*":              s.legacyVersion,
		"PUT " + v2 + "/policies/*/versions/*":              s.updateLegacyVersion,
		"DELETE " + v2 + "/policies/*/versions/*":           s.deleteLegacyVersion,
		"POST " + v2 + "/policies/*/versions/*/activations": s.activateLegacy,
		"POST " + v2 + "/policies/*/versions/*/rules":       s.addRule,
		"GET " + v2 + "/policies/*/versions/*/rules/*":      s.getRule,
		"PUT " + v2 + "/policies/*/versions/*/rules/*":      s.updateRule,
		"GET " + v2 + "/origins":                            s.listOrigins,
		"GET " + v2 + "/origins/currentActivations":         s.currentBalancing,
		"GET " + v2 + "/origins/*":                          s.getOrigin,
		"POST " + v2 + "/origins":                           s.createOrigin,
		"POST " + v2 + "/origins/*":                         s.createOrigin,
		"PUT " + v2 + "/origins/*":                          s.updateOrigin,
		"GET " + v2 + "/origins/*/versions":                 s.originVersions,
		"POST " + v2 + "/origins/*/versions":                s.createOriginVersion,
		"GET " + v2 + "/origins/*/versions/*":               s.originVersion,
		"PUT " + v2 + "/origins/*/versions/*":               s.updateOriginVersion,
		"GET " + v2 + "/origins/*/activations":              s.originActivations,
		"POST " + v2 + "/origins/*/activations":             s.activateOrigin,
		"GET " + v3 + "/cloudlet-info":                      s.sharedTypes,
		"GET " + v3 + "/policies":                           s.listShared,
		"POST " + v3 + "/policies":                          s.createShared,
		"GET " + v3 + "/policies/*":                         s.sharedPolicy,
		"PUT " + v3 + "/policies/*":                         s.updateShared,
		"DELETE " + v3 + "/policies/*":                      s.deleteShared,
		"POST " + v3 + "/policies/*/clone":                  s.clonePolicy,
		"GET " + v3 + "/policies/*/properties":              s.sharedProperties,
		"GET " + v3 + "/policies/*/versions":                s.sharedVersions,
		"POST " + v3 + "/policies/*/versions":               s.createSharedVersion,
		"GET " + v3 + "/policies/*/versions/*":              s.sharedVersion,
		"PUT " + v3 + "/policies/*/versions/*":              s.updateSharedVersion,
		"DELETE " + v3 + "/policies/*/versions/*":           s.deleteSharedVersion,
		"GET " + v3 + "/policies/*/activations":             s.sharedActivations,
		"POST " + v3 + "/policies/*/activations":            s.activateShared,
		"GET " + v3 + "/policies/*/activations/*":           s.sharedActivation,
	} {
		add(line, run)
	}
	return routes
}

// args are the values for a route's stars, and whether the path is that route's. A literal segment is closer than a
// star, which exact says.
func (r route) args(segments []string) (args []string, exact int, match bool) {
	if len(segments) != len(r.segments) {
		return nil, 0, false
	}
	for i, want := range r.segments {
		got, err := url.PathUnescape(segments[i])
		switch {
		case err != nil:
			return nil, 0, false
		case want == "*":
			args = append(args, got)
		case want != got:
			return nil, 0, false
		default:
			exact++
		}
	}
	return args, exact, true
}

// dispatch runs the operation that the request names, under the account's lock.
func (s *Server) dispatch(c *call) (*reply, error) {
	segments := strings.Split(strings.TrimPrefix(c.path, "/"), "/")
	var found *route
	best, known := -1, false
	for i := range s.routes {
		args, exact, match := s.routes[i].args(segments)
		known = known || match
		if match && s.routes[i].method == c.method && exact > best {
			found, best, c.args = &s.routes[i], exact, args
		}
	}
	switch {
	case found == nil && known:
		return nil, &problem{
			status: http.StatusMethodNotAllowed, kind: "method-not-allowed", title: "Method Not Allowed",
			detail: "Request method '" + c.method + "' not supported",
		}
	case found == nil:
		return nil, notFound("The requested resource was not found")
	}
	s.account.settle(c.now)
	if c.method == http.MethodGet {
		s.account.mu.RLock()
		defer s.account.mu.RUnlock()
	} else {
		s.account.mu.Lock()
		defer s.account.mu.Unlock()
	}
	return found.run(c)
}

// legacyOf is the v2 policy that the path names, if the caller may see it.
func (s *Server) legacyOf(c *call) (*policy, error) {
	return s.policyOf(c, &s.account.legacy)
}

func (s *Server) sharedOf(c *call) (*policy, error) {
	return s.policyOf(c, &s.account.shared)
}

func (s *Server) policyOf(c *call, ps *policies) (*policy, error) {
	id, err := strconv.ParseInt(c.args[0], 10, 64)
	p := ps.byID[id]
	if err != nil || p == nil {
		return nil, notFound("Policy with id %s not found", c.args[0])
	}
	return p, s.visible(p)
}

func (s *Server) visible(p *policy) error {
	for _, group := range s.opt.DeniedGroups {
		if p.group == group {
			return denied("You don't have view capability for the Cloudlet %s in group %d", p.code, group)
		}
	}
	return nil
}

// versionOf is the version that the path names, deleted ones too.
func (s *Server) versionOf(c *call, ps *policies) (*policy, *version, error) {
	p, err := s.policyOf(c, ps)
	if err != nil {
		return nil, nil, err
	}
	n, err := strconv.ParseInt(c.args[1], 10, 64)
	v := p.version(n)
	if err != nil || v == nil {
		return nil, nil, notFound("Policy Version %s not found in Policy %d", c.args[1], p.id)
	}
	return p, v, nil
}

// flag is a query member that is a boolean and false when absent.
func (c *call) flag(name string) bool { return c.query.Get(name) == "true" }
