package simulator_test

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"

	"cloudletmig/internal/simulator"
)

func TestGenerateIsExactAndDeterministic(t *testing.T) {
	t.Parallel()
	opt := simulator.GenerateOptions{Policies: 40, Versions: 4, Rules: 6, Seed: 3, Plain: true}
	one, two := simulator.Generate(opt), simulator.Generate(opt)
	want := simulator.Counts{Policies: 40, Versions: 160, Rules: 960, Origins: 2, OriginVersions: 6}
	if got := one.Counts(); got != want {
		t.Errorf("counts are %+v, want %+v", got, want)
	}
	seen := map[[32]byte]bool{}
	for _, p := range one.Policies() {
		for _, n := range p.Versions {
			first, err := one.VersionText(p.ID, n)
			if err != nil {
				t.Fatal(err)
			}
			second, err := two.VersionText(p.ID, n)
			if err != nil || !bytes.Equal(first, second) {
				t.Fatalf("version %d of policy %d differs: %v", n, p.ID, err)
			}
			_, rules, _ := strings.Cut(string(first), `"matchRules":`)
			seen[sha256.Sum256([]byte(rules))] = true
		}
	}
	if len(seen) != 160 {
		t.Errorf("%d of 160 versions have rules of their own", len(seen))
	}
}

func TestGenerateIsAwkward(t *testing.T) {
	t.Parallel()
	account := simulator.Generate(simulator.GenerateOptions{Hostile: true})
	c := account.Counts()
	if c.DeletedPolicies == 0 || c.DeletedVersions == 0 {
		t.Errorf("counts are %+v", c)
	}
	var all bytes.Buffer
	var big, empty, gap, ungrouped, twins bool
	folded := map[string]string{}
	policies := account.Policies()
	for _, p := range policies {
		if other, is := folded[strings.ToLower(p.Name)]; is && other != p.Name {
			twins = true
		}
		folded[strings.ToLower(p.Name)] = p.Name
		ungrouped = ungrouped || !p.Shared && p.Group == 0
		empty = empty || p.Shared && len(p.Versions) == 0
		for i, n := range p.Versions {
			gap = gap || p.Shared && n != int64(i+1)
			text, err := account.VersionText(p.ID, n)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Count(text, []byte(`"akaRuleId":`)) == 5000 {
				big = true
				continue
			}
			all.Write(text)
		}
	}
	if !big || !empty || !gap || !ungrouped || !twins {
		t.Errorf("5,000 rules %t, no versions %t, gap %t, no group %t, twins %t", big, empty, gap, ungrouped, twins)
	}
	for _, part := range []string{
		`"description":null`, `"description":""`, "🚀", `<b>`, "\u2028", `\u2028`, `\uD83D\uDE00`, "1.0", "1e2", "12345678901234567890",
		`"disabled":"false"`, `"passThroughPercent":"50"`, `"status":"PENDING"`, `"status":"FAILED"`, `"rulesLocked":true`,
	} {
		if !bytes.Contains(all.Bytes(), []byte(part)) {
			t.Errorf("no version holds %s", part)
		}
	}
	for _, name := range simulator.HostileNames() {
		if !slices.ContainsFunc(policies, func(p simulator.PolicyInfo) bool { return p.Name == name }) {
			t.Errorf("no policy is named %q", name)
		}
	}
}

// A hundred thousand versions must not be held, and none of them when they are read.
func TestGenerateIsLazy(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	account := simulator.Generate(simulator.GenerateOptions{Policies: 10000, Versions: 10, Rules: 200, RuleBytes: 1300})
	s := simulator.New(simulator.Options{Account: account, NoAuth: true})
	for _, path := range []string{v2 + "/policies/1001/versions/10", v2 + "/policies/7001/versions/1", v3 + "/policies/9002/versions/2"} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != http.StatusOK || w.Body.Len() < 256_000 {
			t.Errorf("%s: status %d, %d bytes", path, w.Code, w.Body.Len())
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("the account holds %d MiB", grown>>20)
	}
	runtime.KeepAlive(account)
}

func BenchmarkVersion(b *testing.B) {
	for name, opt := range map[string]simulator.GenerateOptions{
		"200rules": {Rules: 200, Plain: true}, "256KiB": {Rules: 200, RuleBytes: 1300, Plain: true}, "5000rules": {Rules: 5000, Plain: true},
	} {
		b.Run(name, func(b *testing.B) {
			s := simulator.New(simulator.Options{Account: simulator.Generate(opt), NoAuth: true})
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, v2+"/policies/1001/versions/2", nil)
			w := &discard{header: http.Header{}}
			for b.Loop() {
				w.bytes = 0
				s.ServeHTTP(w, r)
			}
			b.SetBytes(w.bytes)
			b.ReportAllocs()
		})
	}
}

type discard struct {
	header http.Header
	bytes  int64
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { d.bytes += int64(len(p)); return len(p), nil }
