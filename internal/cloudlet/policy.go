package cloudlet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Types are the cloudlet codes that the documents name: those of Cloudlets API v2 and, with VWR, of v3.
func Types() []string {
	return []string{"ALB", "AP", "AS", "CD", "ER", "FR", "IG", "IV", "MMA", "MMB", "VP", "VWR"}
}

// Policy is what a listing says of one policy.
type Policy struct {
	API         API
	ID          int64
	Name        string
	Description string
	Type        string // cloudlet code, such as ER
	GroupID     int64
	Deleted     bool
	Raw         json.RawMessage // as sent
}

// ParsePolicy reads an element of a list of policies or a single policy.
func ParsePolicy(api API, raw json.RawMessage) (Policy, error) {
	var doc struct {
		PolicyID     int64  `json:"policyId"` // v2
		ID           int64  `json:"id"`       // v3
		Name         string `json:"name"`
		Description  string `json:"description"`
		CloudletCode string `json:"cloudletCode"` // v2
		CloudletType string `json:"cloudletType"` // v3
		GroupID      int64  `json:"groupId"`
		Deleted      flag   `json:"deleted"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return Policy{}, fmt.Errorf("read policy: %w", err)
	}
	p := Policy{
		API: api, ID: doc.ID, Name: doc.Name, Description: doc.Description, Type: doc.CloudletType,
		GroupID: doc.GroupID, Deleted: bool(doc.Deleted), Raw: raw,
	}
	if api == V2 {
		p.ID, p.Type = doc.PolicyID, doc.CloudletCode
	}
	if p.ID <= 0 {
		return Policy{}, fmt.Errorf("read policy: no usable id in %.200q", raw)
	}
	return p, nil
}

// ParsePolicies reads a list of policies of an API, in its order.
func ParsePolicies(api API, list []byte) ([]Policy, error) {
	return ParseList(list, func(raw json.RawMessage) (Policy, error) { return ParsePolicy(api, raw) })
}

// String is how people see the policy in messages: v2:1001 static_assets.
func (p Policy) String() string { return fmt.Sprintf("%s:%d %s", p.API, p.ID, Printable(p.Name)) }

// Version is what a listing, or the version itself, says of one version of a policy.
type Version struct {
	Number      int64
	Revision    string // v2: revisionId, which every edit raises; empty in v3
	Description string
	Modified    string // the date as sent: milliseconds in v2, ISO 8601 in v3
	ModifiedBy  string
	Locked      bool // v2 rulesLocked, v3 immutable
	Deleted     bool
	Raw         json.RawMessage // as sent
}

// ParseVersion reads an element of a list of versions or a single version. Load-balancing versions are read alike.
func ParseVersion(raw json.RawMessage) (Version, error) {
	var doc struct {
		Version          int64           `json:"version"`
		RevisionID       json.RawMessage `json:"revisionId"`
		Description      string          `json:"description"`
		LastModifiedDate json.RawMessage `json:"lastModifiedDate"` // v2
		ModifiedDate     json.RawMessage `json:"modifiedDate"`     // v3
		LastModifiedBy   string          `json:"lastModifiedBy"`   // v2
		ModifiedBy       string          `json:"modifiedBy"`       // v3
		RulesLocked      flag            `json:"rulesLocked"`      // v2
		Immutable        flag            `json:"immutable"`        // v3
		Deleted          flag            `json:"deleted"`
	}
	if err := json.Unmarshal(withoutRules(raw), &doc); err != nil {
		return Version{}, fmt.Errorf("read version: %w", err)
	}
	if doc.Version <= 0 {
		return Version{}, fmt.Errorf("read version: no usable number in %.200q", raw)
	}
	return Version{
		Number: doc.Version, Revision: plain(doc.RevisionID), Description: doc.Description,
		Modified: plain(doc.LastModifiedDate) + plain(doc.ModifiedDate), ModifiedBy: doc.LastModifiedBy + doc.ModifiedBy,
		Locked: bool(doc.RulesLocked || doc.Immutable), Deleted: bool(doc.Deleted), Raw: raw,
	}, nil
}

// withoutRules is an object without its match rules, which are most of a version and which encoding/json would walk over
// twice. Anything else is given as it is.
func withoutRules(doc []byte) []byte {
	if !ValidJSON(doc) {
		return doc
	}
	short := []byte{'{'}
	for name, value := range Members(doc) {
		if name == "matchRules" {
			continue
		}
		if len(short) > 1 {
			short = append(short, ',')
		}
		short = append(append(append(short, encode(name)...), ':'), value...)
	}
	if len(short) == 1 {
		return doc
	}
	return append(short, '}')
}

// ParseList reads the elements of a JSON array, each with parse, in their order.
func ParseList[T any](list []byte, parse func(json.RawMessage) (T, error)) ([]T, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(list, &raws); err != nil {
		return nil, fmt.Errorf("read list: %w", err)
	}
	parsed := make([]T, 0, len(raws))
	for _, raw := range raws {
		v, err := parse(raw)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, v)
	}
	return parsed, nil
}

// flag is a Boolean that may come as a string: "disabled": "false" is printed in the documents.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	switch string(bytes.ToLower(bytes.Trim(b, `"`))) {
	case "true":
		*f = true
	case "false", "null", "":
		*f = false
	default:
		return fmt.Errorf("%s is no Boolean", b)
	}
	return nil
}

// plain is a JSON scalar as text: a string without its quotes, a number as it was written, nothing for null.
func plain(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	if string(raw) == "null" {
		return ""
	}
	return string(raw)
}

// When reads a date of the API: milliseconds since 1970 in v2, ISO 8601 in v3. It is the zero time for anything else.
func When(date string) time.Time {
	if ms, err := strconv.ParseInt(date, 10, 64); err == nil && ms > 0 {
		return time.UnixMilli(ms).UTC()
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999Z0700", time.DateOnly} {
		if t, err := time.Parse(layout, date); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// Printable is a name from outside made safe for one line on a terminal: characters that control or reorder a line
// are shown as escapes.
func Printable(name string) string {
	quoted := strconv.QuoteToGraphic(name)
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(quoted[1 : len(quoted)-1])
}

// Ref names a policy on the command line: an id or a name, of one API or of either.
type Ref struct {
	API  API // empty: either
	Text string
}

// ParseRef reads ID, NAME, v2:ID, v3:NAME and so on.
func ParseRef(text string) (Ref, error) {
	ref := Ref{Text: text}
	if api, rest, ok := strings.Cut(text, ":"); ok && slices.Contains([]API{V2, V3}, API(api)) {
		ref = Ref{API: API(api), Text: rest}
	}
	if ref.Text == "" {
		return Ref{}, fmt.Errorf("policy %q: give an id or a name, with v2: or v3: in front where both have it", text)
	}
	return ref, nil
}

// String is the reference as it was written.
func (r Ref) String() string {
	if r.API == "" {
		return r.Text
	}
	return string(r.API) + ":" + r.Text
}

// Names reports whether the reference is to p: by id, or by the exact name.
func (r Ref) Names(p Policy) bool {
	if r.API != "" && r.API != p.API {
		return false
	}
	return r.Text == p.Name || r.Text == strconv.FormatInt(p.ID, 10)
}
