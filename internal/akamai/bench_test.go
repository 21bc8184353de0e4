package akamai

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"cloudletmig/internal/cloudlet"
)

// versionBody is about as large as a version of 5,000 rules.
func versionBody() string {
	var b strings.Builder
	b.WriteString(`{"policyId":1,"version":1,"matchRules":[`)
	for i := range 5000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"erMatchRule","id":%d,"name":"rule %d","start":0,"end":0,"matchURL":"/old/path/%d","matches":[{"matchType":"hostname",`+
			`"matchOperator":"equals","matchValue":"www.example.com www.example.org","negate":false,"caseSensitive":false}],"statusCode":301,`+
			`"redirectURL":"https://www.example.com/new/path/%d?x=\u0026y","useIncomingQueryString":true,"akaRuleId":"c99a63ef7a0e3b63"}`, i, i, i, i)
	}
	b.WriteString(`]}`)
	return b.String()
}

// BenchmarkValid measures the check that every document passes.
func BenchmarkValid(b *testing.B) {
	doc := []byte(versionBody())
	for name, valid := range map[string]func([]byte) bool{"json.Valid": json.Valid, "cloudlet.ValidJSON": cloudlet.ValidJSON} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				if !valid(doc) {
					b.Fatal("not valid")
				}
			}
		})
	}
}

// BenchmarkGet measures what a read costs beside the network: signing, limits, reading and checking.
func BenchmarkGet(b *testing.B) {
	for name, body := range map[string]string{"small": `{"policyId":1}`, "large": versionBody()} {
		b.Run(name, func(b *testing.B) {
			c, err := New(testCredentials("h.example"), Options{Valid: cloudlet.ValidJSON, Transport: fake(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
			})})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Get(b.Context(), cloudlet.Resource{Path: "/x"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPage measures the cutting of a list.
func BenchmarkPage(b *testing.B) {
	list := "[" + elements(0, pageSize) + "]"
	a := &answer{status: 200, header: http.Header{}, body: []byte(list)}
	c := &Client{opts: Options{}.withDefaults()}
	b.SetBytes(int64(len(list)))
	b.ReportAllocs()
	for b.Loop() {
		if got, err := c.readByOffset(a, 0); err != nil || len(got.elements) != pageSize {
			b.Fatal(err)
		}
	}
}
