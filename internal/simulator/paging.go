package simulator

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// offsets reads the paging members of v2: pageSize 100 by default, 5 to 1000 (Cloudlets API v2).
func (c *call) offsets() (offset, size int, err error) {
	if offset, err = c.whole("offset", 0); err == nil {
		size, err = c.whole("pageSize", 100)
	}
	switch {
	case err != nil:
		return 0, 0, err
	case offset < 0:
		return 0, 0, invalid("offset must not be below 0")
	case size < 5 || size > 1000:
		return 0, 0, invalid("pageSize must be between 5 and 1000")
	}
	return offset, size, nil
}

func (c *call) whole(name string, otherwise int) (int, error) {
	text := c.query.Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, invalidField(name, quote(text), "%s must be an integer", name)
	}
	return n, nil
}

// legacyPage cuts a v2 list; render makes the text of one element. X-Total-Count is for lists of policies.
func (s *Server) legacyPage(c *call, total int, counted bool, render func(i int) []byte) (*reply, error) {
	offset, size, err := c.offsets()
	if err != nil {
		return nil, err
	}
	var elements [][]byte
	for i := offset; i < min(offset+size, total); i++ {
		elements = append(elements, render(i))
	}
	out := &reply{status: http.StatusOK, header: http.Header{}, body: list(elements)}
	if s.opt.ListHeaders == Always || s.opt.ListHeaders == Sometimes && s.chance(0.5) {
		if counted {
			out.header.Set("X-Total-Count", strconv.Itoa(total))
		}
		if next := offset + size; next < total {
			out.header.Set("Link", fmt.Sprintf(`<%s>; rel="next"`, c.linkTo(url.Values{
				"offset": {strconv.Itoa(next)}, "pageSize": {strconv.Itoa(size)},
			})))
		}
	}
	return out, nil
}

// linkTo is the call's path with some query members replaced and the account switch key left out.
func (c *call) linkTo(with url.Values) string {
	query := url.Values{}
	for key, values := range c.query {
		if key != "accountSwitchKey" {
			query[key] = values
		}
	}
	maps.Copy(query, with)
	return c.path + "?" + query.Encode()
}

// sharedPage cuts a v3 list: page from 0, size at least 10; above 1000 it is 1000 (Cloudlets API v3, Hypermedia; the
// greatest size is not documented).
func (s *Server) sharedPage(c *call, total, usual int, render func(i int) []byte) (*reply, error) {
	page, err := c.whole("page", 0)
	if err != nil {
		return nil, err
	}
	size, err := c.whole("size", usual)
	if err != nil {
		return nil, err
	}
	if page < 0 {
		return nil, invalidField("page", number(int64(page)), "page must not be below 0")
	}
	if size < 10 {
		return nil, invalidField("size", number(int64(size)), "size must be at least 10")
	}
	size = min(size, 1000)
	pages := (total + size - 1) / size
	out := chunks{fmt.Appendf(nil, `{"page":{"number":%d,"size":%d,"totalElements":%d,"totalPages":%d},"content":`, page, size, total, pages)}
	var elements [][]byte
	for i := page * size; i < min((page+1)*size, total); i++ {
		elements = append(elements, render(i))
	}
	out = append(out, list(elements)...)
	out = append(out, []byte(`,"links":[`+strings.Join(c.links(page, size, pages), ",")+`]}`))
	return &reply{status: http.StatusOK, body: out}, nil
}

func (c *call) links(page, size, pages int) []string {
	link := func(rel string, page int) string {
		return fmt.Sprintf(`{"href":"%s?page=%d&size=%d","rel":"%s"}`, c.path, page, size, rel)
	}
	if pages <= 1 {
		return []string{link("self", page)}
	}
	links := []string{link("first", 0), link("self", page)}
	if page+1 < pages {
		links = append(links, link("next", page+1))
	}
	return append(links, link("last", pages-1))
}
