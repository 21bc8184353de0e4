package akamai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"cloudletmig/internal/cloudlet"
)

// element n of a list, with what decoding would spoil.
func element(n int) string { return fmt.Sprintf(`{"id": %d,"n":1.50, "t":"\u00e9<&>"}`, n) }

func elements(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		if i > from {
			b.WriteString(" ,\n")
		}
		b.WriteString(element(i))
	}
	return b.String()
}

func wantList(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = element(i)
	}
	return "[" + strings.Join(list, ",") + "]"
}

// offsets serves n records cut as asked, but never more than top at once.
func offsets(n, top int, header func(w http.ResponseWriter, to int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		size, _ := strconv.Atoi(r.URL.Query().Get("pageSize"))
		from = min(from, n)
		to := min(n, from+min(size, top))
		if header != nil {
			header(w, to)
		}
		_, _ = fmt.Fprintf(w, "[%s]", elements(from, to))
	}
}

// pages does the same for v3; page gives the member of that name.
func pages(n, top int, page func(number, size int) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		number, _ := strconv.Atoi(r.URL.Query().Get("page"))
		size, _ := strconv.Atoi(r.URL.Query().Get("size"))
		size = min(size, top)
		from := min(n, number*size)
		_, _ = fmt.Fprintf(w, `{"page":%s,"content":[ %s ],"links":[]}`, page(number, size), elements(from, min(n, from+size)))
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	total := func(n int) func(http.ResponseWriter, int) {
		return func(w http.ResponseWriter, _ int) { w.Header().Set("x-total-count", strconv.Itoa(n)) }
	}
	link := func(n int) func(http.ResponseWriter, int) {
		return func(w http.ResponseWriter, to int) {
			if to < n {
				w.Header().Set("Link", `</cloudlets/api/v2/policies?offset=0>; rel="first", </x>; rel="next"; title=y`)
			}
		}
	}
	counted := func(n int) func(int, int) string {
		return func(number, size int) string {
			return fmt.Sprintf(`{"number":%d,"size":%d,"totalElements":%d,"totalPages":%d}`, number, size, n, (n+size-1)/size)
		}
	}
	uncounted := func(int, int) string { return `{}` }
	v2 := cloudlet.V2.Policies(true)
	v3 := cloudlet.V3.Policies(false)
	for _, tt := range []struct {
		name     string
		list     cloudlet.Resource
		answer   http.HandlerFunc
		n        int
		requests int
		total    int
	}{
		{"v2 empty", v2, offsets(0, 1000, nil), 0, 1, -1},
		{"v2 short", v2, offsets(3, 1000, nil), 3, 1, -1},
		{"v2 full", v2, offsets(1000, 1000, nil), 1000, 2, -1},
		{"v2 several", v2, offsets(2500, 1000, nil), 2500, 3, -1},
		{"v2 counted", v2, offsets(2500, 1000, total(2500)), 2500, 3, 2500},
		{"v2 capped, counted", v2, offsets(250, 60, total(250)), 250, 5, 250},
		{"v2 capped, linked", v2, offsets(250, 60, link(250)), 250, 5, -1},
		{"v2 default size, silent", v2, offsets(250, 100, nil), 250, 3, -1},
		{"v2 count too high", v2, offsets(3, 1000, total(9)), 3, 2, 9},
		{"v2 count too low", v2, offsets(1500, 1000, total(1000)), 1500, 2, 1000},
		{"v2 paging ignored, full", v2, reply(200, "["+elements(0, 1000)+"]"), 1000, 2, -1},
		{"v2 paging ignored, long", v2, reply(200, "["+elements(0, 2345)+"]"), 2345, 1, -1},
		{"v2 paging ignored, linked", v2, reply(200, "["+elements(0, 5)+"]", "Link", `<x>; rel=next`), 5, 2, -1},
		{"v2 white space", v2, reply(200, " \r\n[ "+elements(0, 2)+" ]\n"), 2, 1, -1},
		{"v3 empty", v3, pages(0, 1000, counted(0)), 0, 1, 0},
		{"v3 full", v3, pages(1000, 1000, counted(1000)), 1000, 1, 1000},
		{"v3 several", v3, pages(2500, 1000, counted(2500)), 2500, 3, 2500},
		{"v3 capped", v3, pages(250, 60, counted(250)), 250, 5, 250},
		{"v3 uncounted", v3, pages(2500, 1000, uncounted), 2500, 3, -1},
		{"v3 uncounted, full", v3, pages(1000, 1000, uncounted), 1000, 2, -1},
		{"v3 linked", v3, reply(200, `{"content":[`+elements(0, 4)+`],"links":[{"rel":"next"}]}`), 4, 2, -1},
		{"v3 paging ignored", v3, reply(200, `{"page":{"totalPages":3},"content":[`+elements(0, 4)+`]}`), 4, 2, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tt.answer)
			c := s.client(Options{})
			got, err := c.Get(t.Context(), tt.list)
			if err != nil || string(got) != wantList(tt.n) || !json.Valid(got) {
				t.Fatalf("%.200s, %v", got, err)
			}
			sent := s.requests()
			if len(sent) != tt.requests {
				t.Errorf("%d requests, want %d", len(sent), tt.requests)
			}
			if tt.list == v2 && !strings.Contains(sent[0], "includeDeleted=true&offset=0&pageSize=1000") {
				t.Error(sent[0])
			}
			first, err := c.Page(t.Context(), tt.list, "")
			if err != nil || first.Total != tt.total {
				t.Errorf("total %d, want %d; %v", first.Total, tt.total, err)
			}
		})
	}
}

func TestPageByPage(t *testing.T) {
	t.Parallel()
	s := serve(t, offsets(2001, 1000, nil))
	c := s.client(Options{})
	n, next := 0, ""
	for {
		page, err := c.Page(t.Context(), cloudlet.V2.Versions(7, false), next)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Elements {
			if string(e) != element(n) {
				t.Fatalf("element %d is %s", n, e)
			}
			n++
		}
		if next = page.Next; next == "" {
			break
		}
	}
	if n != 2001 {
		t.Errorf("%d elements", n)
	}
	for _, next := range []string{"x", "-1.0", "1", "0.0", "1.zz"} {
		if _, err := c.Page(t.Context(), cloudlet.V2.Versions(7, false), next); !errors.Is(err, errRequest) {
			t.Errorf("%q: %v", next, err)
		}
	}
	if _, err := c.Page(t.Context(), document(), ""); !errors.Is(err, errRequest) {
		t.Error(err)
	}
}

// TestShape: a list that is no list is an error that says what was found, and is not asked for again.
func TestShape(t *testing.T) {
	t.Parallel()
	v2, v3 := cloudlet.V2.Policies(false), cloudlet.V3.Policies(false)
	for _, tt := range []struct {
		list cloudlet.Resource
		body string
		want string
		sent int
	}{
		{v2, `{"a":1}`, "want an array, found an object", 1},
		{v2, `null`, "want an array, found null", 1},
		{v2, `"x"`, "want an array, found a string", 1},
		{v2, `[1,`, "not sound JSON", 8},
		{v2, ``, "not sound JSON", 8},
		{v2, `<html>`, "HTML", 1},
		{v3, `[]`, "want an object with an array named content, found an array", 1},
		{v3, `{}`, "found none of that name", 1},
		{v3, `{"content":null}`, "found null", 1},
		{v3, `{"content":{}}`, "found an object", 1},
		{v3, `{"page":{"totalPages":"3"},"content":[]}`, "page.totalPages is of type string", 1},
		{v3, `{"page":{"totalPages":3},"content":[]}`, "page 0 of 3 is empty", 1},
		{v3, `7`, "found a number", 1},
		{v3, `true`, "found a boolean", 1},
	} {
		s := serve(t, reply(200, tt.body))
		_, err := s.client(Options{}).Get(t.Context(), tt.list)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "GET "+tt.list.Path+"?") {
			t.Errorf("%s: %v", tt.body, err)
		}
		if n := len(s.requests()); n != tt.sent {
			t.Errorf("%s: %d requests, want %d", tt.body, n, tt.sent)
		}
	}
}

func TestLinksNext(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		`<a>; rel="next"`: true, `<a>; REL=Next`: true, `<a>;rel='next'`: true, `<a>; rel="prev", <b>; rel="next"`: true,
		``: false, `<a>; rel="prev"`: false, `<a?rel=next>; rel="last"`: false, `<next>`: false,
	} {
		if got := linksNext([]string{value}); got != want {
			t.Errorf("%s: %v", value, got)
		}
	}
}

// FuzzSplit: elements are those that encoding/json finds, byte for byte.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{
		`[]`, ` [ ] `, `[1]`, `[ 1 , 2 ]`, `["a\\","\"]",{"b":"}],"}]`, `[[],[[1,2],{}],{"a":[1]}]`, "[\n\t1.50 ,\r\n null]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		var want []json.RawMessage
		doc = trim(doc)
		if json.Unmarshal(doc, &want) != nil || doc[0] != '[' {
			return
		}
		got := split(doc)
		if len(got) != len(want) {
			t.Fatalf("%q: %d elements, want %d", doc, len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("%q: element %d is %q, want %q", doc, i, got[i], want[i])
			}
		}
	})
}
