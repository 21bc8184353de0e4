package convert_test

import (
	"fmt"
	"strings"
	"testing"

	"cloudletmig/internal/convert"
)

func probe(t *testing.T, name string, mutate func(*convert.Options), sheets ...string) {
	out := attempt(t.Context(), t, t.TempDir()+"/out", mutate, sheets...)
	t.Logf("== %s: err %v", name, out.Err)
	if out.Dir == "" {
		return
	}
	t.Logf("%+v proof %+v codes %q", out.Report.Rows, out.Report.Proof, out.codes())
	for i, b := range out.bodies(t) {
		t.Logf("chunk %d rows %v", i+1, out.Dispatch.Chunks[i].Rows)
		for _, r := range b.Rules {
			t.Log("   " + string(r))
		}
	}
}

func TestProbe(t *testing.T) {
	pm := "matchURL,result.redirectURL,result.statusCode\n"
	probe(t, "pm schemes same target", nothing, pm+"http://h.com/a,https://o.example/1,301\nhttps://h.com/a,https://o.example/1,301\n")
	probe(t, "pm schemes other target", nothing, pm+"http://h.com/a,https://o.example/1,301\nhttps://h.com/a,https://o.example/2,301\n")
	probe(t, "dup last", func(o *convert.Options) { o.Duplicates = convert.DuplicatesLast }, "source,target\n/a,/x\n/a,/y\n/a,/x\n")
	probe(t, "case only + twin same target", nothing, "source,target\n/Foo,/foo\n/FOO,/foo\n/foo,/foo\n")
	probe(t, "host less then http", nothing, "source,target\nh.com/a,https://h.com/a\nhttp://h.com/a,https://h.com/a\n")
	probe(t, "http then https", nothing, "source,target\nhttp://h.com/a,https://h.com/a\nhttps://h.com/a,https://h.com/a\n")
	_ = strings.Cut
	_ = fmt.Sprint
}
