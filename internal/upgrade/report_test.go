package upgrade

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/snapshot"
)

// sampleReport has a policy at every stage, a hostile name, a difference, and properties of all kinds.
func sampleReport(t *testing.T) Report {
	t.Helper()
	const a = `[{"type":"erMatchRule","name":"landing","redirectURL":"/spring","statusCode":301},{"type":"erMatchRule","name":"moved","redirectURL":"/x","statusCode":302},{"type":"erMatchRule","name":"<b>gone</b>","redirectURL":"/y","statusCode":302}]`
	const b = `[{"type":"erMatchRule","name":"moved","redirectURL":"/x","statusCode":302},{"type":"erMatchRule","name":"landing","redirectURL":"/winter","statusCode":301},{"type":"erMatchRule","name":"new","redirectURL":"/z","statusCode":302}]`
	rules, patch, err := snapshot.DiffRules(json.RawMessage(a), json.RawMessage(b), true)
	if err != nil {
		t.Fatal(err)
	}
	on := func(staging, production int64) map[cloudlet.Network]int64 {
		m := map[cloudlet.Network]int64{}
		for network, n := range map[cloudlet.Network]int64{cloudlet.Staging: staging, cloudlet.Production: production} {
			if n != 0 {
				m[network] = n
			}
		}
		return m
	}
	make := func(id int64, name, kind string, action Action, stage Stage, shared int64, pairs ...Pair) Result {
		return Result{Planned: Planned{
			ID: id, Name: name, Type: kind, NewName: name + "_shared", NewGroup: 1234, Action: action, Shared: shared, State: Absent,
		}, Stage: stage, Pairs: pairs}
	}
	all := []Result{
		make(1001, "campaign", "ER", Clone, StageLive, 2001, Pair{3, 3}, Pair{7, 7}, Pair{9, 9}),
		make(1002, "checkout", "FR", Clone, StageStaged, 2002, Pair{1, 1}),
		make(1003, "segments", "AS", Copy, StageProved, 2003, Pair{2, 1}, Pair{4, 2}),
		make(1004, "landing_pages", "ER", Clone, StageCloned, 2004, Pair{1, 1}),
		make(1005, "api_limits", "AP", Clone, StagePlanned, 0),
		make(1006, "balance", "ALB", Blocked, StageBlocked, 0),
		make(1007, "<script>alert(1)</script>", "ER", Conflict, StageConflict, 2005),
		make(1008, "rollout", "CD", Left, StageLeft, 0),
		make(1009, "gate", "IG", Sync, StageCloned, 2006, Pair{1, 1}),
		make(1010, "seasonal", "ER", Sync, StageLive, 2007, Pair{2, 5}),
	}
	all[0].Live, all[0].Active = on(9, 7), on(9, 7)
	all[0].Uses = []Use{
		{Property: "www.example.com", Group: 1234, Network: cloudlet.Staging, Version: 12, Policies: []string{"campaign", "seasonal"}},
		{Property: "www.example.com", Group: 1234, Network: cloudlet.Production, Version: 11, Policies: []string{"campaign"}},
	}
	all[1].Live, all[1].Active, all[1].Uses = on(1, 1), on(1, 0), []Use{{Property: "shop.example.com", Group: 5678, Network: cloudlet.Production, Version: 40}}
	all[2].Live, all[2].Uses, all[2].Copied = on(4, 0), []Use{{Property: "new.example.com", Version: 1}}, "POST /cloudlets/v3/policies/1003/clone: 404 Not Found"
	all[3].Differences = []Difference{{Text: `version 4 differs from version 4 of the shared policy at /0/name: "landing" against "moved" (4 rules differ)`, Version: 4, Shared: 4, Rules: rules, Patch: patch}}
	all[3].Problem = "shared policy 2004 is not equal to it"
	all[4].Problem = "POST /cloudlets/v3/policies/1005/clone: 403 Forbidden: you have no edit capability in group 1234"
	all[5].Why = "v3 has no policies of type ALB"
	all[6].Why = "shared policy 2005 has that name and no version in common with it"
	all[7].Why = "it was not upgraded yet"
	all[8].State, all[8].Why = Behind, "not carried: version 3 (2026-03-02 10:15 by jsmith)"
	all[9].State, all[9].Why, all[9].Live, all[9].Active = Behind, "not carried: version 2 (2026-03-01 08:00 by sjones)", on(0, 2), on(0, 5)
	return NewReport("akab-0123456789abcdef.luna.akamaiapis.net", "k3v9q2", time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), all)
}

func writeReport(t *testing.T, r Report) string {
	t.Helper()
	dir := t.TempDir()
	if keep := os.Getenv("REPORT_DIR"); keep != "" { // to look at it
		dir = keep
	}
	folder, err := durable.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Write(folder), folder.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestReportFiles(t *testing.T) {
	t.Parallel()
	r := sampleReport(t)
	if r.Changed != 1 { // one that is behind was carried over
		t.Errorf("%d have changed since", r.Changed)
	}
	dir := writeReport(t, r)
	text, err := os.ReadFile(filepath.Join(dir, ReportJSON))
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(text, &back); err != nil || len(back.Policies) != 10 || len(back.Cutovers) != 4 {
		t.Errorf("report.json: %v, %d policies, %d property edits", err, len(back.Policies), len(back.Cutovers))
	}
	sheet, err := os.ReadFile(filepath.Join(dir, ReportCSV))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(sheet)).ReadAll()
	if err != nil || len(rows) != 11 {
		t.Fatalf("report.csv: %v, %d lines", err, len(rows))
	}
	if got := rows[1][7]; got != "3 -> 3, 7 -> 7, 9 -> 9" {
		t.Errorf("versions %q", got)
	}
}

// TestReportSaysHowManyChanged looks at the first line, for none, one and two.
func TestReportSaysHowManyChanged(t *testing.T) {
	t.Parallel()
	behind := Result{Planned: Planned{ID: 1, State: Behind, Action: Sync}, Stage: StageCloned}
	blocked := Result{Planned: Planned{ID: 3, State: Behind, Action: Blocked}, Stage: StageBlocked}
	lags := Result{Planned: Planned{ID: 4, State: Behind, Action: Sync, Lags: networks()}, Stage: StageProved}
	failed := Result{Planned: Planned{ID: 5, State: Behind, Action: Sync, Activate: map[cloudlet.Network]int64{cloudlet.Staging: 1}}, Stage: StageProved}
	synced := Result{Planned: Planned{ID: 6, State: Behind, Action: Sync}, Stage: StageProved}
	diverged := Result{Planned: Planned{ID: 2, State: Diverged, Action: Conflict}, Stage: StageConflict}
	for want, results := range map[string][]Result{
		"None of the legacy policies has changed since it was cloned.":  nil,
		"1 of the legacy policies has changed since it was cloned.":     {behind},
		"2 of the legacy policies have changed since they were cloned.": {behind, diverged},
		"3 of the legacy policies have changed since they were cloned.": {blocked, lags, failed, synced},
		"No property is known to use what was upgraded.":                {behind},
	} {
		var page bytes.Buffer
		if err := NewReport("host", "", time.Now(), results).html(&page); err != nil || !strings.Contains(page.String(), want) {
			t.Errorf("%d policies: %v, and not %q", len(results), err, want)
		}
	}
}

// TestReportAsksNobody wants a page that is whole by itself.
func TestReportAsksNobody(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(writeReport(t, sampleReport(t)), ReportHTML))
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{`https?:`, `(?i)@import`, `url\(`, `src=`, `<script>alert`, `<b>gone</b>`} {
		if found := regexp.MustCompile(pattern).Find(text); found != nil {
			t.Errorf("the page has %q", found)
		}
	}
	if !strings.Contains(string(text), "default-src 'none'") {
		t.Error("the page does not forbid requests")
	}
}

// browse gives the document that a browser makes of a page. Without a browser the test is left out, unless
// CLOUDLETMIG_BROWSER says that there must be one, and may name it.
func browse(t *testing.T, page string) string {
	t.Helper()
	name, must := os.LookupEnv("CLOUDLETMIG_BROWSER")
	if name == "" || name == "1" {
		name = "chromium"
	}
	program, err := exec.LookPath(name)
	if err != nil {
		if must {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(), "--dump-dom", "file://"+page)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return string(out)
}

// TestReportInBrowser opens the page in a real browser, with and without JavaScript, and sorts it.
func TestReportInBrowser(t *testing.T) {
	t.Parallel()
	dir := writeReport(t, sampleReport(t))
	page := filepath.Join(dir, ReportHTML)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	still := filepath.Join(t.TempDir(), "still.html") // a browser that is asked for its document without JavaScript has none
	script := regexp.MustCompile(`(?s)<script>\nfor .*</script>`)
	if err := os.WriteFile(still, script.ReplaceAll(text, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := browse(t, still)
	live := browse(t, page)
	for what, dom := range map[string]string{"without JavaScript": plain, "with JavaScript": live} {
		for _, want := range []string{
			"1 of the legacy policies has changed since it was cloned.", "akab-0123456789abcdef.luna.akamaiapis.net", "run k3v9q2", "4 March 2026, 05:06 UTC",
			`<td><code>campaign</code>`, `<span class="badge staged">staged</span>`, "v3 has no policies of type ALB", "3&nbsp;→&nbsp;3", "production 7",
			`&lt;script&gt;alert(1)&lt;/script&gt;`, "copied, since the API refused to clone it: POST /cloudlets/v3/policies/1003/clone: 404",
			`<code>/matchRules/0/redirectURL</code>`, `<del><code>"/spring"</code></del>`, `<ins><code>"/winter"</code></ins>`,
			`"cloudletSharedPolicy": 2001`, `"isSharedPolicy": false`, "edgeRedirector", "newest version", "not yet", "Check by hand", "Rule format:",
			"was behind: not carried: version 2 (2026-03-01 08:00 by sjones)",
		} {
			if !strings.Contains(dom, want) {
				t.Errorf("%s: %q is not there", what, want)
			}
		}
		if strings.Contains(dom, "<script>alert") {
			t.Errorf("%s: a name became part of the page", what)
		}
	}
	if strings.Contains(plain, "<button>") || !strings.Contains(live, "<th><button>Legacy policy</button></th>") {
		t.Error("headings can be clicked only with JavaScript")
	}
	for clicks, want := range map[int]string{1: "1005 1006 1001", 2: "1010 1008 1004"} {
		clicked := strings.Replace(string(text), "</body>", fmt.Sprintf(
			`<script>for (let i = 0; i < %d; i++) document.querySelectorAll("#policies + .wrap th button, #policies + input + .wrap th button")[0].click()</script></body>`, clicks), 1)
		file := filepath.Join(t.TempDir(), "clicked.html")
		if err := os.WriteFile(file, []byte(clicked), 0o600); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, m := range regexp.MustCompile(`data-id="(\d+)"`).FindAllStringSubmatch(browse(t, file), -1) {
			ids = append(ids, m[1])
		}
		if got := strings.Join(ids[1:4], " "); got != want { // the first has a name that collations see differently
			t.Errorf("sorted by name after %d clicks: %v", clicks, ids)
		}
	}
}
