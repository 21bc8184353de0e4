package convert_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/convert"
)

// hint converts sheets that are refused, and gives the sentence and what it advises.
func hint(t *testing.T, mutate func(*convert.Options), sheet string) (text, advice string) {
	t.Helper()
	out := attempt(t.Context(), t, filepath.Join(t.TempDir(), "out"), mutate, sheet)
	var input *convert.InputError
	if !errors.As(out.Err, &input) {
		t.Fatalf("converting %q: %v", short(sheet), out.Err)
	}
	return input.Error(), input.Hint()
}

func wantWords(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q lacks %q", text, w)
		}
	}
}

// hostRows writes rows of sources on a host, or on none, each of which leads elsewhere.
func hostRows(b *strings.Builder, host, path string, n int) {
	for i := range n {
		fmt.Fprintf(b, "%s/%s%d,https://o.example/%s%d\n", host, path, i, path, i)
	}
}

func sheetOfHosts(hostless int, perHost ...int) string {
	var b strings.Builder
	b.WriteString("source,target\n")
	hostRows(&b, "", "all", hostless)
	for i, n := range perHost {
		hostRows(&b, fmt.Sprintf("https://h%d.example", i), "own", n)
	}
	return b.String()
}

// TestHostsFindRoomBesideWhatIsEverywhere, or the sheet is refused with the numbers; only a host that is too big by its own
// rows becomes a hash set.
func TestHostsFindRoomBesideWhatIsEverywhere(t *testing.T) {
	byHost := func(o *convert.Options) { o.Split, o.MaxRules = convert.SplitHost, 50 }
	ones := make([]int, 30)
	for i := range ones {
		ones[i] = 1
	}
	text, advice := hint(t, byHost, sheetOfHosts(41, ones...))
	wantWords(t, text, "30 rules for 30 hosts", "41 rules for no host", "room for 0")
	wantWords(t, advice, "--split hash", "--fill")
	out := converted(t, byHost, sheetOfHosts(30, ones...)) // room for 10
	if n := len(out.Dispatch.Chunks); n != 4 {
		t.Errorf("%d chunks", n)
	}
	out = converted(t, byHost, sheetOfHosts(30, 1, 11, 1))
	for _, c := range out.Dispatch.Chunks {
		if big := len(c.Hosts) == 1 && c.Hosts[0] == "h1.example"; big != (c.Of > 1) {
			t.Errorf("%+v", c)
		}
	}
	if out = converted(t, byHost, sheetOfHosts(45)); len(out.Dispatch.Chunks) != 1 {
		t.Errorf("%+v", out.Dispatch)
	}
}

// TestHostsKeepTheirPoliciesOrAreRefused: what was one chunk does not become several, and no number shifts.
func TestHostsKeepTheirPoliciesOrAreRefused(t *testing.T) {
	low := func(o *convert.Options) { o.Split, o.MaxRules, o.Fill = convert.SplitHost, 10, 1 }
	one := converted(t, low, sheetOfHosts(1, 5, 15, 6)) // a chunk, a hash set, a chunk, and one for all others
	again := func(o *convert.Options) { low(o); o.Split, o.Previous = convert.SplitAuto, one.load(t) }
	for _, sheet := range []string{sheetOfHosts(1, 11, 15, 6), sheetOfHosts(1, 5, 60, 6), sheetOfHosts(5, 5, 15, 6), sheetOfHosts(12, 5, 15, 6)} {
		text, advice := hint(t, again, sheet)
		wantWords(t, text, "test_00", "no longer fits")
		wantWords(t, advice, "without --previous")
	}
	two := converted(t, again, sheetOfHosts(1, 5, 15, 0, 1, 20)) // one host is gone; new ones, one of them too big
	for i, c := range one.Dispatch.Chunks {
		if d := two.Dispatch.Chunks[i]; fmt.Sprint(c.Hosts, c.Of, c.Bucket, c.OtherHosts) != fmt.Sprint(d.Hosts, d.Of, d.Bucket, d.OtherHosts) {
			t.Errorf("policy %d: %+v, then %+v", i+1, c, d)
		}
	}
	if len(two.Dispatch.Chunks) < len(one.Dispatch.Chunks)+3 {
		t.Errorf("%d policies, then %d", len(one.Dispatch.Chunks), len(two.Dispatch.Chunks))
	}
}

// TestASequenceKeepsItsNumbers, also where no row of a policy is left, at either end or between.
func TestASequenceKeepsItsNumbers(t *testing.T) {
	low := func(o *convert.Options) { o.Split, o.MaxRules, o.Fill = convert.SplitSequence, 4, 1 }
	rows := strings.Split(strings.TrimSpace(many(12)), "\n")
	one := converted(t, low, strings.Join(rows, "\n"))
	for gone := range 3 {
		left := append(append([]string{}, rows[:1+4*gone]...), rows[5+4*gone:]...)
		two := converted(t, func(o *convert.Options) { low(o); o.Split, o.Previous = convert.SplitAuto, one.load(t) }, strings.Join(left, "\n"))
		for i, body := range two.bodies(t) {
			if want := 4; i == gone && len(body.Rules) > 0 || i != gone && len(body.Rules) != want {
				t.Errorf("without policy %d: policy %d has %d rules", gone+1, i+1, len(body.Rules))
			}
		}
		if ch := two.Report.Changes; len(two.Dispatch.Chunks) != 3 || len(ch.Chunks) != 1 || ch.Removed != 4 {
			t.Errorf("without policy %d: %+v", gone+1, ch)
		}
	}
	text, advice := hint(t, func(o *convert.Options) { low(o); o.Previous = one.load(t) }, strings.Join(append(rows[:2:2], append([]string{"/new,/x"}, rows[2:]...)...), "\n"))
	wantWords(t, text, "policy test_001")
	wantWords(t, advice, "without --previous")
}

// TestOnePolicyThatOverflowsSaysWhatWouldDo: and with that number it does.
func TestOnePolicyThatOverflowsSaysWhatWouldDo(t *testing.T) {
	one := converted(t, nothing, many(3))
	again := func(o *convert.Options) { o.MaxRules, o.Previous = 20, one.load(t) }
	text, advice := hint(t, again, many(50))
	wantWords(t, text, "one policy", "50 rules")
	n := 0
	if _, err := fmt.Sscanf(advice, "--buckets %d", &n); err != nil || n < 3 {
		t.Fatal(advice)
	}
	wantWords(t, advice, "changes the one policy", fmt.Sprintf("makes %d more", n-1))
	for _, split := range []string{convert.SplitAuto, convert.SplitHash} {
		two := converted(t, func(o *convert.Options) { again(o); o.Split, o.Buckets = split, n }, many(50))
		if two.Dispatch.Kind != chunkset.Hash || two.Dispatch.N != n || two.Report.Changes.Added != 47 {
			t.Errorf("%+v %+v", two.Dispatch, two.Report.Changes)
		}
	}
	single := converted(t, func(o *convert.Options) { o.Previous, o.Buckets = one.load(t), 1 }, many(4))
	if single.Dispatch.Kind != chunkset.Single {
		t.Errorf("%+v", single.Dispatch)
	}
	byHost := converted(t, func(o *convert.Options) { o.Split = convert.SplitHost }, sheetOfHosts(1, 2))
	text, _ = hint(t, func(o *convert.Options) { o.Previous, o.Buckets = byHost.load(t), 2 }, sheetOfHosts(1, 2))
	wantWords(t, text, "--buckets 2", "host")
}

// TestAdviceFitsItsCause: nobody is told to make fewer wildcards who has none.
func TestAdviceFitsItsCause(t *testing.T) {
	text, advice := hint(t, func(o *convert.Options) { o.MaxRules = 1 }, many(1200))
	wantWords(t, text, "1200 rules to spread", "of 1000 buckets the fullest, bucket ", "room for 1 in", "0 repeated")
	if strings.Contains(advice, "wildcard") {
		t.Error(advice)
	}
	if out := converted(t, func(o *convert.Options) { o.MaxRules = 1 }, many(3)); len(out.Dispatch.Chunks) < 3 {
		t.Errorf("%+v", out.Dispatch)
	}
	_, advice = hint(t, func(o *convert.Options) { o.MaxRules = 20 }, many(1)+strings.ReplaceAll(many(20)[len("source,target\n"):], ",", "/*,"))
	wantWords(t, advice, "fewer rules with wildcards")
	text, _ = hint(t, func(o *convert.Options) { o.MaxRules, o.MaxBytes, o.Fill = 5, 1700, 0.7 }, many(5)+"/"+strings.Repeat("x", 300)+",/y\n")
	wantWords(t, text, "the rule for the path")
}

// TestTheKeyDoesNotDependOnRowsThatAreOut: rejected ones and duplicates name no host, and the others one.
func TestTheKeyDoesNotDependOnRowsThatAreOut(t *testing.T) {
	low := func(o *convert.Options) { o.MaxRules = 20 }
	sheet := sheetOfHosts(0, 20, 20)
	for _, out := range []string{"", "/loop,/loop\n", "/two,/back\n/back,/two\n"} {
		if key := converted(t, low, sheet+out).Dispatch.Key; key != chunkset.HostPathKey {
			t.Errorf("with %q the key is %s", out, key)
		}
	}
	if key := converted(t, low, sheet+"/in,/x\n").Dispatch.Key; key != chunkset.PathKey {
		t.Errorf("the key is %s", key)
	}
}
