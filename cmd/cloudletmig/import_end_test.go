package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloudletmig/internal/simulator"
)

// endRows is how many redirects go all the way, and endChunk how many of them are in a policy. Activations keep to the
// limit of the API, ten a minute, so that three policies on two networks need no wait and 60,000 rows need some minutes.
var (
	endRows  = figure{300, 60000}
	endChunk = figure{150, 4800}
)

// endSheet writes a sheet, and gives each source with its target.
func endSheet(t *testing.T, file string, rows int) (sources []string, targets map[string]string) {
	t.Helper()
	targets = map[string]string{}
	var sheet strings.Builder
	sheet.WriteString("source,target,status\n")
	for i := range rows {
		host := []string{"www.example.com", "shop.example.com", "docs.example.com"}[i%3]
		source := fmt.Sprintf("https://%s/old/%d/page-%d", host, i%97, i)
		target := fmt.Sprintf("https://www.example.com/new/%d?from=%d", i, i%7)
		fmt.Fprintf(&sheet, "%s,%s,%d\n", source, target, 301+i%2)
		sources, targets[source] = append(sources, source), target
	}
	if err := os.WriteFile(file, []byte(sheet.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return sources, targets
}

// TestImportEndToEnd: a sheet is converted, imported and activated on both networks; what is exported afterwards sends every
// row where the sheet says.
func TestImportEndToEnd(t *testing.T) {
	t.Parallel()
	account := simulator.NewAccount()
	account.AddGroup(1234, 0, "web")
	l := newLab(t, simulator.Options{Account: account, ActivationTime: 200 * time.Millisecond}, simulator.ListenOptions{})
	sources, targets := endSheet(t, l.path("sheet.csv"), endRows.n())
	step := func(what string, args ...string) string {
		begun := time.Now()
		c := l.command(args...)
		c.cmd.Stdin = strings.NewReader(strings.Join(sources, "\n"))
		<-c.start().ended
		if o := c.wait(); o.exit != 0 {
			t.Fatalf("%s: %s", what, o)
		}
		t.Logf("%s: %s", what, time.Since(begun).Round(time.Millisecond))
		return c.out.String()
	}
	step("convert", "convert", "sheet.csv", "--out", "redirects", "--name", "shop", "--max-rules", fmt.Sprint(endChunk.n()))
	step("import", "import", "redirects", "--group", "1234", "--activate", "staging,production", "--yes", "--settle", "2s")
	l.forget(nil)
	step("import again", "import", "redirects", "--activate", "staging,production", "--yes")
	for _, r := range l.requests() {
		if r.Method != http.MethodGet {
			t.Errorf("the second import sent %s %s", r.Method, r.Path)
		}
	}
	step("export", "export", "backup")
	for _, network := range []string{"staging", "production"} {
		var traced struct {
			Traces []struct {
				URL      string `json:"url"`
				Location string `json:"location"`
			} `json:"traces"` // of each policy that is live
		}
		if err := json.Unmarshal([]byte(step("trace "+network, "trace", "-", "--rules", "backup", "--network", network, "--output", "json")), &traced); err != nil {
			t.Fatal(err)
		}
		led := map[string]string{}
		for _, r := range traced.Traces {
			if r.Location != "" && led[r.URL] != "" {
				t.Fatalf("%s is redirected by two policies on %s", r.URL, network)
			}
			led[r.URL] += r.Location
		}
		for source, target := range targets {
			if led[source] != target {
				t.Fatalf("%s on %s leads to %q, not %q", source, network, led[source], target)
			}
		}
	}
	chunks, err := filepath.Glob(l.path("redirects", "shop_*.json"))
	if err != nil || len(chunks) != len(account.Policies()) || len(chunks) < 2 {
		t.Errorf("%d chunks and %d policies, %v", len(chunks), len(account.Policies()), err)
	}
}
