package simulator

import (
	"fmt"
	"strconv"
)

func (s *Server) sharedTypes(*call) (*reply, error) {
	return ok(list(s.account.sharedCloudlets)...), nil
}

func (s *Server) listShared(c *call) (*reply, error) {
	all := s.account.shared.list
	return s.sharedPage(c, len(all), 10, func(i int) []byte { return s.account.view(all[i]).doc.bytes() })
}

func (s *Server) sharedPolicy(c *call) (*reply, error) {
	p, err := s.sharedOf(c)
	if err != nil {
		return nil, err
	}
	return ok(s.account.view(p).doc.bytes()), nil
}

func (s *Server) sharedProperties(c *call) (*reply, error) {
	p, err := s.sharedOf(c)
	if err != nil {
		return nil, err
	}
	texts := s.account.view(p).listed
	return s.sharedPage(c, len(texts), 1000, func(i int) []byte { return texts[i] })
}

// sharedVersions lists the newest first, without rules and warnings and with a link (Cloudlets API v3, List policy versions).
func (s *Server) sharedVersions(c *call) (*reply, error) {
	p, err := s.sharedOf(c)
	if err != nil {
		return nil, err
	}
	total := len(p.versions)
	return s.sharedPage(c, total, 1000, func(i int) []byte {
		v := &p.versions[total-1-i]
		doc := s.account.viewVersion(p, v).doc.without("matchRules", "matchRulesWarnings", "configuration")
		return doc.set("links", fmt.Appendf(nil, `[{"href":"/cloudlets/v3/policies/%d/versions/%d","rel":"self"}]`, p.id, v.number)).bytes()
	})
}

func (s *Server) sharedVersion(c *call) (*reply, error) {
	p, v, err := s.versionOf(c, &s.account.shared)
	if err != nil {
		return nil, err
	}
	return ok(s.renderVersion(c, p, v)...), nil
}

func (s *Server) sharedActivations(c *call) (*reply, error) {
	p, err := s.sharedOf(c)
	if err != nil {
		return nil, err
	}
	rows := s.account.view(p).rows
	return s.sharedPage(c, len(rows), 1000, func(i int) []byte { return rows[i].bytes() })
}

func (s *Server) sharedActivation(c *call) (*reply, error) {
	p, err := s.sharedOf(c)
	if err != nil {
		return nil, err
	}
	id, err := strconv.ParseInt(c.args[1], 10, 64)
	if err == nil {
		for _, row := range s.account.view(p).rows {
			if n, known := row.number("id"); known && n == id {
				return ok(row.bytes()), nil
			}
		}
	}
	return nil, notFound("Activation with id %s not found in Policy %d", c.args[1], p.id)
}
