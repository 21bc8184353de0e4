package akamai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"

	"cloudletmig/internal/cloudlet"
)

const (
	// pageSize is the largest page (Cloudlets API v2, List policies); of v3 no maximum is known, others use the same.
	pageSize = 1000
	// defaultPageSize is what the API falls back to when it does not see ours.
	defaultPageSize = 100
)

// cursor is the place of a page in its list: records before it (ByOffset) or its number (ByPage), and the hash of the
// page before it, by which a server that ignores paging is known.
type cursor struct {
	at     int
	before uint64
}

func (c cursor) String() string { return fmt.Sprintf("%d.%x", c.at, c.before) }

func parseCursor(next string) (cursor, error) {
	if next == "" {
		return cursor{}, nil
	}
	place, hash, _ := strings.Cut(next, ".")
	at, err := strconv.Atoi(place)
	before, hashErr := strconv.ParseUint(hash, 16, 64)
	if err != nil || hashErr != nil || at <= 0 {
		return cursor{}, fmt.Errorf("%w: %q is no page of a list", errRequest, next)
	}
	return cursor{at: at, before: before}, nil
}

// listing is one page as it was read, in the terms of both APIs.
type listing struct {
	elements []json.RawMessage
	total    int  // of the whole list, -1 when not said
	more     bool // the answer says that there is more
	counted  bool // the answer says how many pages there are
}

// Page reads one page of a list: the first for next "", else the one that the page before names as Next.
func (c *Client) Page(ctx context.Context, r cloudlet.Resource, next string) (cloudlet.Page, error) {
	at, err := parseCursor(next)
	if err != nil {
		return cloudlet.Page{}, err
	}
	var query string
	var read func(*answer, int) (listing, error)
	switch r.Paging {
	case cloudlet.ByOffset:
		query, read = fmt.Sprintf("offset=%d&pageSize=%d", at.at, pageSize), c.readByOffset
	case cloudlet.ByPage:
		query, read = fmt.Sprintf("page=%d&size=%d", at.at, pageSize), c.readByPage
	case cloudlet.Whole:
		return cloudlet.Page{}, fmt.Errorf("%w: %s is no list", errRequest, r.Path)
	}
	var got listing
	_, err = c.fetch(ctx, call{method: http.MethodGet, path: withQuery(r.Path, query)}, func(a *answer) (err error) {
		got, err = read(a, at.at)
		return err
	})
	if err != nil {
		return cloudlet.Page{}, err
	}
	return follow(r.Paging, at, got), nil
}

func withQuery(path, query string) string {
	if strings.Contains(path, "?") {
		return path + "&" + query
	}
	return path + "?" + query
}

// follow decides what comes after a page. A server may cut pages smaller than asked, so a short page is the last one only
// when nothing says otherwise; one that ignores paging sends the same page again, which is dropped and ends the list.
func follow(p cloudlet.Paging, at cursor, got listing) cloudlet.Page {
	page := cloudlet.Page{Elements: got.elements, Total: got.total}
	n := len(got.elements)
	hash := fingerprint(got.elements)
	if n == 0 || (at.at > 0 && hash == at.before) {
		page.Elements = nil
		return page
	}
	full := n == pageSize || n == defaultPageSize
	step := n
	if p == cloudlet.ByPage {
		full, step = n == pageSize && !got.counted, 1
	}
	if full || got.more {
		page.Next = cursor{at: at.at + step, before: hash}.String()
	}
	return page
}

func fingerprint(elements []json.RawMessage) uint64 {
	h := fnv.New64a()
	for _, e := range elements {
		_, _ = h.Write(e)
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

// readByOffset reads an array (Cloudlets API v2, List policies). Link and x-total-count are sent by some servers only.
func (c *Client) readByOffset(a *answer, offset int) (listing, error) {
	got := listing{total: -1}
	body := trim(a.body)
	if !c.opts.Valid(body) {
		return got, unsound(a)
	}
	if body[0] != '[' {
		return got, fmt.Errorf("%w: want an array, found %s", errShape, kind(body[0]))
	}
	got.elements = split(body)
	if total, err := strconv.Atoi(a.header.Get("X-Total-Count")); err == nil && total >= 0 {
		got.total = total
	}
	got.more = offset+len(got.elements) < got.total || linksNext(a.header.Values("Link"))
	return got, nil
}

// envelope is what v3 puts its lists in (Cloudlets API v3, List shared policies).
type envelope struct {
	Page struct {
		TotalElements *int `json:"totalElements"`
		TotalPages    *int `json:"totalPages"`
	} `json:"page"`
	Content json.RawMessage `json:"content"`
	Links   []struct {
		Rel string `json:"rel"`
	} `json:"links"`
}

func (c *Client) readByPage(a *answer, number int) (listing, error) {
	got := listing{total: -1}
	body, err := readEnvelope(a)
	if err != nil {
		return got, err
	}
	got.elements = split(body.Content)
	if body.Page.TotalElements != nil {
		got.total = *body.Page.TotalElements
	}
	if body.Page.TotalPages != nil {
		got.counted = true
		got.more = number+1 < *body.Page.TotalPages
		if got.more && len(got.elements) == 0 {
			return got, fmt.Errorf("%w: page %d of %d is empty", errShape, number, *body.Page.TotalPages)
		}
	}
	for _, link := range body.Links {
		got.more = got.more || link.Rel == "next"
	}
	return got, nil
}

func readEnvelope(a *answer) (envelope, error) {
	const want = "want an object with an array named content"
	var body envelope
	err := json.Unmarshal(a.body, &body)
	var wrong *json.UnmarshalTypeError
	switch first := trim(a.body); {
	case err != nil && !errors.As(err, &wrong):
		return body, unsound(a)
	case first[0] != '{':
		return body, fmt.Errorf("%w: %s, found %s", errShape, want, kind(first[0]))
	case wrong != nil:
		return body, fmt.Errorf("%w: %s is of type %s", errShape, wrong.Field, wrong.Value)
	case len(body.Content) == 0:
		return body, fmt.Errorf("%w: %s, found none of that name", errShape, want)
	case body.Content[0] != '[':
		return body, fmt.Errorf("%w: %s, found %s", errShape, want, kind(body.Content[0]))
	}
	return body, nil
}

func trim(body []byte) []byte { return bytes.Trim(body, " \t\r\n") }

// split cuts a JSON array, known to be sound, into its elements. They share its memory.
func split(array []byte) []json.RawMessage {
	var elements []json.RawMessage
	depth, start := 0, 1
	for i := 0; i < len(array); i++ {
		switch array[i] {
		case '"':
			for i++; array[i] != '"'; i++ {
				if array[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		if (depth == 1 && array[i] == ',') || depth == 0 {
			if element := trim(array[start:i]); len(element) > 0 {
				elements = append(elements, element)
			}
			start = i + 1
		}
	}
	return elements
}

func kind(first byte) string {
	switch first {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	}
	return "a number"
}

// linksNext says whether a Link header has rel="next" (RFC 8288).
func linksNext(values []string) bool {
	for _, value := range values {
		for param := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ';' || r == ',' }) {
			name, rel, _ := strings.Cut(strings.TrimSpace(param), "=")
			if strings.EqualFold(strings.TrimSpace(name), "rel") && strings.EqualFold(strings.Trim(rel, "\"' "), "next") {
				return true
			}
		}
	}
	return false
}

// all joins the pages of a list.
func (c *Client) all(ctx context.Context, r cloudlet.Resource) ([]byte, error) {
	var elements []json.RawMessage
	size, next := 2, ""
	for {
		page, err := c.Page(ctx, r, next)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Elements {
			size += len(e) + 1
		}
		elements = append(elements, page.Elements...)
		if page.Next == "" {
			break
		}
		next = page.Next
	}
	joined := append(make([]byte, 0, size), '[')
	for i, e := range elements {
		if i > 0 {
			joined = append(joined, ',')
		}
		joined = append(joined, e...)
	}
	return append(joined, ']'), nil
}
