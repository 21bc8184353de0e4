package akamai

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"unicode"

	"cloudletmig/internal/cloudlet"
)

// maxText bounds each text of a problem that becomes part of an error.
const maxText = 1000

// problem is the body of a refusal (Cloudlets API v3, Error responses; RFC 7807).
type problem struct {
	Type     string   `json:"type"`
	Title    string   `json:"title"`
	Detail   string   `json:"detail"`
	Instance string   `json:"instance"`
	Message  string   `json:"errorMessage"` // older form of Detail (Cloudlets API v2, Error responses)
	Errors   []detail `json:"errors"`
}

type detail struct {
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Field  string `json:"invalidField"`
}

// readProblem takes what there is: a body that is no problem document, or has members of another type, leaves gaps.
func readProblem(body []byte) problem {
	var p problem
	_ = json.Unmarshal(body, &p) // gaps are filled by the caller
	if p.Detail == "" {
		p.Detail = p.Message
	}
	for _, d := range p.Errors {
		text := d.Detail
		if text == "" {
			text = d.Title
		}
		if text == "" || strings.Contains(p.Detail, text) {
			continue
		}
		if d.Field != "" && !strings.Contains(text, d.Field) {
			text += " (" + d.Field + ")"
		}
		if p.Detail != "" {
			p.Detail += "; "
		}
		p.Detail += text
	}
	return p
}

// failure makes the error of an attempt that did not end as hoped. It has no Advice where none is known.
func (c *Client) failure(r call, res result, attempts int) *cloudlet.APIError {
	e := &cloudlet.APIError{Method: r.method, Path: c.scrub.text(r.path), Attempts: attempts, Err: res.err}
	o := observed{wrote: res.wrote}
	if a := res.answer; a != nil {
		p := readProblem(a.body)
		e.Status = a.status
		if a.status >= http.StatusMultipleChoices {
			e.Type, e.Instance = c.scrub.line(p.Type), c.scrub.line(p.Instance)
			e.Title, e.Detail = c.scrub.line(p.Title), c.scrub.line(p.Detail)
			e.Advice = c.adviseStatus(a)
		}
		if e.Title == "" {
			e.Title = http.StatusText(a.status)
		}
		if a.status == http.StatusUnauthorized {
			e.Err = ErrCredentials
		}
		o.status, o.empty = a.status, len(a.body) == 0
		o.whole = res.err == nil || isDefect(res.err)
		o.sound = o.whole && res.err == nil
		o.text = p.Type + " " + p.Title + " " + p.Detail
	}
	e.Verdict = classify(o)
	if e.Advice == "" && res.err != nil {
		e.Advice = c.adviseCause(res.err)
	}
	return e
}

// scrubber takes out of server-made text what must not be repeated: our tokens and anything like our signature, which
// some servers echo.
type scrubber struct{ replace func(string) string }

var authorization = regexp.MustCompile(`EG1-HMAC-SHA256[^"'<>\\]*|(client_token|access_token|client_secret|signature|nonce|accountSwitchKey)=[^;&\s"'<>\\]*`)

func newScrubber(creds Credentials) scrubber {
	var pairs []string
	for _, s := range []Secret{creds.ClientToken, creds.ClientSecret, creds.AccessToken, creds.AccountKey} {
		if !s.Empty() {
			pairs = append(pairs, s.Reveal(), redacted)
		}
	}
	return scrubber{replace: strings.NewReplacer(pairs...).Replace}
}

func (s scrubber) text(text string) string {
	return authorization.ReplaceAllString(s.replace(text), redacted)
}

// line is text without secrets as one line of bounded length.
func (s scrubber) line(text string) string {
	text = strings.Join(strings.FieldsFunc(s.text(text), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if runes := []rune(text); len(runes) > maxText {
		return string(runes[:maxText]) + "..."
	}
	return text
}
