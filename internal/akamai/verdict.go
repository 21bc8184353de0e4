package akamai

import (
	"bytes"
	"net/http"
	"regexp"

	"cloudletmig/internal/cloudlet"
)

// inTheWay matches what 400 answers say of a name that exists and of an activation that runs: the documents give 409
// for both, their examples show 400 too (Cloudlets API v3, Activate a policy version).
var inTheWay = regexp.MustCompile(`(?i)already (exists?|in use|used|taken)|(must|should) be unique|is not unique|` +
	`duplicate (policy )?name|data-update-conflict|` +
	`activation\b[^.]*\b(pending|in progress|running)|(pending|running|in progress)\b[^.]*\bactivation`)

// observed is what is known of one attempt when it is over.
type observed struct {
	wrote  bool // the request may have left this machine
	status int  // 0: no answer
	empty  bool // the answer has no body
	whole  bool // the body came to its end
	sound  bool // the body is JSON
	text   string
}

// classify says what an attempt did to the account. Where that cannot be known it says Unknown: after a status that may
// come from a server in between (5xx, 3xx), and after an answer that is not whole.
func classify(o observed) cloudlet.Verdict {
	switch {
	case o.status == 0 && !o.wrote:
		return cloudlet.NotSent
	case o.status == http.StatusTooManyRequests, o.status == http.StatusUnauthorized:
		return cloudlet.Rejected // judged before the request is looked at
	case o.status == http.StatusConflict:
		return cloudlet.Conflict
	case o.status == http.StatusRequestTimeout:
		return cloudlet.Unknown
	case o.status == http.StatusNoContent && o.whole:
		return cloudlet.Applied
	case o.status >= 200 && o.status < 300 && o.whole && o.sound:
		return cloudlet.Applied
	case o.status >= 400 && o.status < 500 && o.whole && !o.empty:
		if o.status == http.StatusBadRequest && inTheWay.MatchString(o.text) {
			return cloudlet.Conflict
		}
		return cloudlet.Rejected
	}
	return cloudlet.Unknown
}

// isHTML recognises a page made for people.
func isHTML(a *answer) bool {
	return bytes.HasPrefix(bytes.TrimLeft(a.body, " \t\r\n\ufeff"), []byte("<"))
}
