package simulator

import (
	"fmt"
	"net/http"
)

// problem is the one form in which the simulator refuses (Cloudlets API v2 and v3, Error responses).
type problem struct {
	status        int
	kind          string // the last part of the type, or a whole type when it begins with a slash or a scheme
	title, detail string
	field         string // v3: the invalid field
	value         []byte // v3: its value as JSON text
	extra         object // further members
	header        http.Header
	gateway       bool // refused by the gateway in front of the API
}

func (p *problem) Error() string { return fmt.Sprintf("%d %s: %s", p.status, p.title, p.detail) }

func invalid(format string, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, kind: "validation-failed", title: "Validation failed", detail: fmt.Sprintf(format, args...)}
}

func invalidField(field string, value []byte, format string, args ...any) *problem {
	p := invalid(format, args...)
	if value == nil {
		value = []byte("null")
	}
	p.field, p.value = field, value
	return p
}

func notFound(format string, args ...any) *problem {
	return &problem{status: http.StatusNotFound, kind: "not-found", title: "Not found", detail: fmt.Sprintf(format, args...)}
}

func denied(format string, args ...any) *problem {
	return &problem{status: http.StatusForbidden, kind: "access-denied", title: "Access denied", detail: fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) *problem {
	return &problem{
		status: http.StatusConflict, kind: "data-update-conflict", title: "Data update conflict",
		detail: fmt.Sprintf(format, args...),
	}
}

// nameTaken carries the data of the policy that has the name (Cloudlets API v2 and v3, Create a policy).
func nameTaken(existing object) *problem {
	p := conflict("Policy with name %s already exists", existing.text("name"))
	p.extra = object{}.set("existingPolicy", existing.bytes())
	return p
}

func tooManyRules(count int) *problem {
	detail := fmt.Sprintf("Exceeds maximum rules (%d). Received rule count:%d", maxRules, count)
	return &problem{
		status: http.StatusBadRequest, kind: "policy-rule-count-exceeded", title: "Too Many Rules", detail: detail,
		extra: object{}.set("maxRules", number(maxRules)).set("ruleCount", number(int64(count))),
	}
}

func unauthorized(detail string) *problem {
	return &problem{status: http.StatusUnauthorized, title: "Not authorized", detail: detail, gateway: true}
}

// answer writes the problem as the part of the API does that refuses; instance is unique.
func (p *problem) answer(c *call, instance string) *reply {
	var o object
	switch {
	case p.gateway:
		o = template(`{"type":"https://problems.luna.akamaiapis.net/-/pep-authn/deny","title":%s,"status":%d,"detail":%s,`+
			`"instance":%s,"method":%s,"requestId":%s,"requestTime":%s}`, quote(p.title), p.status, quote(p.detail),
			quote("https://"+c.host+c.path), quote(c.method), quote(instance), quote(isoTime(c.now)))
	case c.api == apiShared:
		o = template(`{"status":%d,"title":%s,"instance":%s,"type":%s,"errors":[%s]}`, p.status, quote(p.title), quote(instance),
			quote(p.typeIn("/cloudlets/v3/error-types/")), p.shared().bytes())
	default:
		o = template(`{"detail":%[1]s,"errorCode":-1,"errorMessage":%[1]s,"instance":%[2]s,"status":%[3]d,"title":%[4]s,"type":%[5]s}`,
			quote(p.detail), quote(instance), p.status, quote(p.title), quote(p.typeIn("/cloudlets/error-types/")))
	}
	for _, m := range p.extra {
		o = o.set(m.key, m.value)
	}
	return &reply{status: p.status, header: p.header, media: "application/problem+json", body: chunks{o.bytes()}}
}

// shared is the entry of the problem's errors (Cloudlets API v3, Error responses).
func (p *problem) shared() object {
	o := template(`{"detail":%s,"title":%s}`, quote(p.detail), quote(p.title))
	if p.field != "" {
		o = o.set("invalidField", quote(p.field)).set("invalidValue", p.value)
	}
	return o
}

func (p *problem) typeIn(folder string) string {
	if p.kind == "" {
		return "about:blank"
	}
	return folder + p.kind
}
