package convert_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/convert"
)

// load reads a folder as an earlier conversion.
func (o outcome) load(t tester) *convert.Previous {
	t.Helper()
	set := o.open(t)
	defer func() { _ = set.Close() }()
	p, err := convert.LoadPrevious(set)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// apart draws a sheet in which no row has anything to do with another, and each can be told by its target.
func apart(t *rapid.T, named bool) drawn {
	d := drawn{header: []string{"source", "target"}}
	if named {
		d.header = append(d.header, "name")
	}
	for i := range rapid.IntRange(1, 40).Draw(t, "rows") {
		row := apartRow(t, i)
		if named {
			row = append(row, pick(t, "name", "", fmt.Sprint("n", i))) // not twice: what is put behind a repeated name depends on those before it
		}
		d.rows = append(d.rows, row)
	}
	return d
}

func apartRow(t *rapid.T, i int) []string {
	source := pick(t, "host", "", "", "h.com", "https://w.com") + fmt.Sprintf("/p%d-", i) +
		pick(t, "tail", "", "", "", "/A", "/x y", "/+", "/%25", "?q=1", "/*", "/a*b")
	return []string{source, fmt.Sprintf("https://o.example/%d-", i)}
}

// holding are the files of the chunks that hold a row's rule.
func holding(t *rapid.T, out outcome, row int) []string {
	var files []string
	for i, body := range out.bodies(t) {
		for _, raw := range body.Rules {
			if strings.Contains(string(raw), fmt.Sprintf(`"https://o.example/%d-`, row)) {
				files = append(files, out.Dispatch.Chunks[i].File)
				break
			}
		}
	}
	return files
}

// TestWithAnEarlierConversionOnlyChunksOfChangedRowsChange: nothing changes without a change; a row that changes its
// target, or its source, or comes, or goes, touches no chunk that neither held nor holds it.
func TestWithAnEarlierConversionOnlyChunksOfChangedRowsChange(t *testing.T) {
	r := newRuns(t)
	kinds := map[chunkset.Kind]int{}
	rapid.Check(t, func(t *rapid.T) {
		defer r.clean(t)
		o := options()
		o.Split = pick(t, "split", convert.SplitHash, convert.SplitHost, convert.SplitSequence)
		o.MaxRules, o.Fill = pick(t, "max rules", 12, 30, 60), 0.7
		o.Relative = pick(t, "relative", convert.RelativeURL, convert.CopySchemeHost)
		d := apart(t, rapid.Bool().Draw(t, "names"))
		one := r.run(t, o, d.String())
		if one.Err != nil {
			return
		}
		kinds[one.Dispatch.Kind]++
		o.Previous = one.load(t)
		two := r.run(t, o, d.String())
		if two.Err != nil {
			t.Fatalf("%s: the same sheet again: %v", d, two.Err)
		}
		if ch := two.Report.Changes; ch == nil || ch.Added+ch.Removed+ch.Changed+len(ch.Chunks) > 0 {
			t.Fatalf("%s: the same sheet again: %+v", d, ch)
		}
		before, after := one.files(t), two.files(t)
		for name := range before {
			if name != chunkset.ReportFile && before[name] != after[name] {
				t.Fatalf("%s: the same sheet again: %s differs:\n%s\n%s", d, name, before[name], after[name])
			}
		}
		at := rapid.IntRange(0, len(d.rows)-1).Draw(t, "row")
		changed := drawn{header: d.header, rows: slices.Clone(d.rows)}
		row := at
		what := pick(t, "what", "target", "source", "add", "remove")
		switch what {
		case "target":
			changed.rows[at] = slices.Clone(d.rows[at])
			changed.rows[at][1] += "other"
		case "source":
			changed.rows[at] = slices.Clone(d.rows[at])
			changed.rows[at][0] = "/new"
		case "add":
			row = len(d.rows)
			added := append(apartRow(t, row), make([]string, len(d.header)-2)...)
			changed.rows = slices.Insert(changed.rows, at, added)
		case "remove":
			changed.rows = slices.Delete(changed.rows, at, at+1)
		}
		o.Previous = one.load(t)
		three := r.run(t, o, changed.String())
		if three.Err != nil { // no row, or no room
			return
		}
		may := append(holding(t, one, row), holding(t, three, row)...)
		after = three.files(t)
		var did []string
		for i := range one.Dispatch.Chunks {
			file := one.Dispatch.Chunks[i].File
			if before[file] != after[file] {
				did = append(did, file)
			}
			if before[file] != after[file] && !slices.Contains(may, file) {
				t.Fatalf("%s\n%s of row %d: %s differs, and only %q may:\n%s\n%s", d, what, at, file, may, before[file], after[file])
			}
		}
		ch := three.Report.Changes
		want := map[string][3]int{"target": {0, 0, 1}, "source": {1, 1, 0}, "add": {1, 0, 0}, "remove": {0, 1, 0}}[what]
		if [3]int{ch.Added, ch.Removed, ch.Changed} != want {
			t.Fatalf("%s\n%s of row %d: %+v", d, what, at, *ch)
		}
		if len(one.Dispatch.Chunks) == len(three.Dispatch.Chunks) && !slices.Equal(ch.Chunks, did) {
			t.Fatalf("%s\n%s of row %d: reported %q, differ %q", d, what, at, ch.Chunks, did)
		}
	})
	t.Log(kinds)
}

// TestAnEarlierConversionByHostNeedsNoSplitOption: what was split by host stays so.
func TestAnEarlierConversionByHostNeedsNoSplitOption(t *testing.T) {
	sheet := simple("h.com/a,/x", "w.com/b,/y", "/c,/z")
	one := converted(t, func(o *convert.Options) { o.Split = convert.SplitHost }, sheet)
	two := converted(t, func(o *convert.Options) { o.Previous = one.load(t) }, sheet)
	if two.Dispatch.Kind != chunkset.Host || len(two.Dispatch.Chunks) != len(one.Dispatch.Chunks) {
		t.Errorf("%+v", two.Dispatch)
	}
}

func many(rows int) string {
	var b strings.Builder
	b.WriteString("source,target\n")
	for i := range rows {
		fmt.Fprintf(&b, "/p%d,https://o.example/%d\n", i, i)
	}
	return b.String()
}

// TestABucketThatOverflowsSaysWhatWouldDo: and with that number it does.
func TestABucketThatOverflowsSaysWhatWouldDo(t *testing.T) {
	low := func(o *convert.Options) { o.MaxRules = 20 }
	one := converted(t, low, many(50))
	n := one.Dispatch.N
	out := attempt(t.Context(), t, filepath.Join(t.TempDir(), "out"), func(o *convert.Options) { low(o); o.Previous = one.load(t) }, many(200))
	var input *convert.InputError
	if !errors.As(out.Err, &input) {
		t.Fatal(out.Err)
	}
	more := 0
	if _, err := fmt.Sscanf(input.Hint(), "--buckets %d", &more); err != nil || more <= n || !strings.Contains(input.Hint(), fmt.Sprintf("all %d policies", n)) {
		t.Fatalf("%s; %s", input, input.Hint())
	}
	two := converted(t, func(o *convert.Options) { low(o); o.Previous, o.Buckets = one.load(t), more }, many(200))
	if two.Dispatch.N != more {
		t.Errorf("%d buckets, not %d", two.Dispatch.N, more)
	}
}

// TestAnotherWayToSplitThanBeforeIsRefused, by name.
func TestAnotherWayToSplitThanBeforeIsRefused(t *testing.T) {
	one := converted(t, func(o *convert.Options) { o.MaxRules = 20 }, many(50))
	text := refused(t, func(o *convert.Options) { o.MaxRules, o.Split, o.Previous = 20, convert.SplitHost, one.load(t) }, many(50))
	if !strings.Contains(text, "hash") || !strings.Contains(text, "host") {
		t.Error(text)
	}
	single := converted(t, nothing, many(3))
	refused(t, func(o *convert.Options) { o.MaxRules, o.Previous = 20, single.load(t) }, many(50))
}

// TestLoadPreviousOfADamagedFolder: an error that names the file.
func TestLoadPreviousOfADamagedFolder(t *testing.T) {
	one := converted(t, func(o *convert.Options) { o.MaxRules = 20 }, many(50))
	file := one.Dispatch.Chunks[1].File
	for _, text := range []string{"", `{"description":"","matchRules":[{"type":"frMatchRule"}]}`, `{"matchRules":[5]}`} {
		if err := os.WriteFile(filepath.Join(one.Dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		set := one.open(t)
		if _, err := convert.LoadPrevious(set); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v", text, err)
		}
		if err := set.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
