package snapshot_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/snapshot"
)

// ruleText writes a rule's difference in one line.
func ruleText(r snapshot.RuleDiff) string {
	text := fmt.Sprintf("%s %q %d>%d", r.Kind, r.Name, r.A, r.B)
	if r.Moved {
		text += " moved"
	}
	for _, m := range r.Members {
		text += " | " + m.Where
	}
	return text
}

func operationText(o snapshot.Operation) string {
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", o.Op, o.From, o.Path, o.Value)), " ")
}

func TestDiffRules(t *testing.T) {
	for name, c := range map[string]struct {
		a, b  string
		diffs []string
		patch []string
	}{
		"same":         {a: `[{"name":"a"}]`, b: `[ {"name":"a","start":0,"akaRuleId":"x"} ]`},
		"null":         {a: `null`, b: `[]`},
		"first rule":   {a: `null`, b: `[{"x":1}]`, diffs: []string{`added "" 0>1`}, patch: []string{`add /matchRules []`, `add /matchRules/0 {"x":1}`}},
		"last rule":    {a: `[{"x":1}]`, b: ``, diffs: []string{`removed "" 1>0`}, patch: []string{`remove /matchRules/0`}},
		"swapped":      {a: `[{"x":1},{"x":2}]`, b: `[{"x":2},{"x":1}]`, diffs: []string{`moved "" 1>2`}, patch: []string{`move /matchRules/0 /matchRules/1`}},
		"to the end":   {a: `[{"x":1},{"x":2},{"x":3}]`, b: `[{"x":2},{"x":3},{"x":1}]`, diffs: []string{`moved "" 1>3`}, patch: []string{`move /matchRules/0 /matchRules/2`}},
		"one of twins": {a: `[{"x":1},{"x":1}]`, b: `[{"x":1}]`, diffs: []string{`removed "" 2>0`}, patch: []string{`remove /matchRules/1`}},
		"by name": {
			a: `[{"name":"a","u":1,"akaRuleId":"x","v":true}]`, b: `[{"name":"a","u":2,"akaRuleId":"y","w":[1]}]`,
			diffs: []string{`changed "a" 1>1 | u: 1 against 2 | v: true against nothing | w: nothing against [1]`},
			patch: []string{`replace /matchRules/0/u 2`, `remove /matchRules/0/v`, `add /matchRules/0/w [1]`},
		},
		"renamed": {
			a: `[{"name":"a","u":1}]`, b: `[{"name":"b","u":1}]`, diffs: []string{`changed "b" 1>1 | name: "a" against "b"`},
			patch: []string{`replace /matchRules/0/name "b"`},
		},
		"name before content": {
			a: `[{"name":"a","u":1}]`, b: `[{"name":"b","u":1},{"name":"a","u":2}]`,
			diffs: []string{`added "b" 0>1`, `changed "a" 1>2 | u: 1 against 2`},
			patch: []string{`add /matchRules/0 {"name":"b","u":1}`, `replace /matchRules/1/u 2`},
		},
		"no name, same place": {
			a: `[{"name":"k"},{"u":1},{"name":"l"}]`, b: `[{"name":"k"},{"u":2},{"name":"l"}]`, diffs: []string{`changed "" 2>2 | u: 1 against 2`},
			patch: []string{`replace /matchRules/1/u 2`},
		},
		"no name, elsewhere": {
			a: `[{"u":1},{"name":"k"}]`, b: `[{"name":"k"},{"u":2}]`, diffs: []string{`removed "" 1>0`, `added "" 0>2`},
			patch: []string{`remove /matchRules/0`, `add /matchRules/1 {"u":2}`},
		},
		"moved and changed": {
			a: `[{"name":"a","u":1},{"x":2},{"x":3}]`, b: `[{"x":2},{"x":3},{"name":"a","u":9}]`,
			diffs: []string{`changed "a" 1>3 moved | u: 1 against 9`}, patch: []string{`move /matchRules/0 /matchRules/2`, `replace /matchRules/2/u 9`},
		},
		"removed before added": {
			a: `[{"name":"a"},{"name":"k"}]`, b: `[{"name":"b","u":1},{"name":"k"}]`, diffs: []string{`removed "a" 1>0`, `added "b" 0>1`},
			patch: []string{`remove /matchRules/0`, `add /matchRules/0 {"name":"b","u":1}`},
		},
		"inside a member": {
			a:     `[{"name":"a","matches":[{"v":"x","n":12345678901234567890},{"v":"y"}]}]`,
			b:     `[{"name":"a","matches":[{"v":"x","n":12345678901234567891},{"v":"z","w":1.50}]}]`,
			diffs: []string{`changed "a" 1>1 | matches/0/n: 12345678901234567890 against 12345678901234567891`},
			patch: []string{`replace /matchRules/0/matches/0/n 12345678901234567891`, `replace /matchRules/0/matches/1/v "z"`, `add /matchRules/0/matches/1/w 1.50`},
		},
		"another kind of value": {
			a: `[{"name":"a","u":1}]`, b: `[{"name":"a","u":"1 <&>"}]`, diffs: []string{`changed "a" 1>1 | u: 1 against "1 <&>"`},
			patch: []string{`replace /matchRules/0/u "1 <&>"`},
		},
		"names of members": {
			a: `[{"name":"a","x/y~z":1}]`, b: `[{"name":"a","x/y~z":2}]`, diffs: []string{`changed "a" 1>1 | x~1y~0z: 1 against 2`},
			patch: []string{`replace /matchRules/0/x~1y~0z 2`},
		},
		"half a character": {
			a: `[{"name":"a","u":["\ud800"]}]`, b: `[{"name":"a","u":["\ud801"]}]`, diffs: []string{`changed "a" 1>1 | u/0: "\ud800" against "\ud801"`},
			patch: []string{`replace /matchRules/0/u ["\ud801"]`},
		},
		"a name twice": {
			a: `[{"name":"a","u":1}]`, b: `[{"name":"a","u":1,"u":2}]`, diffs: []string{`changed "a" 1>1 | u: nothing against 2 (a name given more than once)`},
			patch: []string{`replace /matchRules/0 {"name":"a","u":1,"u":2}`},
		},
		"no object": {
			a: `[1,{"name":"a"}]`, b: `["x",{"name":"a"}]`, diffs: []string{`changed "" 1>1 | 1 against "x"`},
			patch: []string{`replace /matchRules/0 "x"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			found, patch, err := snapshot.DiffRules(json.RawMessage(c.a), json.RawMessage(c.b), true)
			if err != nil {
				t.Fatal(err)
			}
			var diffs, ops []string
			for _, r := range found {
				diffs = append(diffs, ruleText(r))
			}
			for _, o := range patch {
				ops = append(ops, operationText(o))
			}
			if d := cmp.Diff(c.diffs, diffs); d != "" {
				t.Errorf("differences: %s", d)
			}
			if d := cmp.Diff(c.patch, ops); d != "" {
				t.Errorf("patch: %s", d)
			}
			checkPatch(t, c.a, c.b, patch)
		})
	}
}

func TestDiffRulesRefusesWhatIsNoList(t *testing.T) {
	for _, list := range []string{`{}`, `"x"`, `[`, `nul`} {
		if _, _, err := snapshot.DiffRules(json.RawMessage(list), json.RawMessage(`[{}]`), true); err == nil {
			t.Errorf("%s was taken for a list of rules", list)
		}
	}
}

// TestPatchesLeadToTheOtherList: for any two lists the patch, applied to the one by code that it shares nothing with,
// gives the other; each rule is accounted for exactly once; and nothing is said of equal lists.
func TestPatchesLeadToTheOtherList(t *testing.T) {
	value := func(name string, values ...string) *rapid.Generator[string] {
		return rapid.Map(rapid.SampledFrom(append(values, "")), func(v string) string {
			if v == "" {
				return ""
			}
			return fmt.Sprintf(`"%s":%s,`, name, v)
		})
	}
	match := rapid.SampledFrom([]string{`{"v":"x"}`, `{"v":"y","negate":false}`, `{"v":12345678901234567890}`, `{"v":1.0}`, `{"v":1e0,"w":null}`, `"\ud800"`, `[1,[2]]`, `[1]`, `{"v":1,"v":2}`})
	rule := rapid.Custom(func(t *rapid.T) string {
		text := value("name", `"a"`, `"b"`, `"c"`, `"\u0061"`, `null`).Draw(t, "name") +
			value("u~/", `1`, `2`, `"\ud801"`, `"\ud802"`).Draw(t, "u") + value("u~/", `1`).Draw(t, "u again") +
			value("start", `0`, `1`).Draw(t, "start") + value("akaRuleId", `"x"`, `"y"`).Draw(t, "id")
		if rapid.Bool().Draw(t, "has matches") {
			text += `"matches":[` + strings.Join(rapid.SliceOfN(match, 0, 4).Draw(t, "matches"), ",") + `],`
		}
		return "{" + strings.TrimSuffix(text, ",") + "}"
	})
	list := rapid.Custom(func(t *rapid.T) string {
		return "[" + strings.Join(rapid.SliceOfN(rule, 0, 12).Draw(t, "rules"), ", ") + "]"
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := list.Draw(t, "a"), list.Draw(t, "b")
		if rapid.Bool().Draw(t, "the same rules") {
			rules := slices.Collect(cloudlet.Elements([]byte(a)))
			b = "[" + strings.Join(rapid.Permutation(stringsOf(rules)).Draw(t, "order"), ",") + "]"
		}
		diffs, patch, err := snapshot.DiffRules(json.RawMessage(a), json.RawMessage(b), true)
		if err != nil {
			t.Fatal(err)
		}
		grade, _ := cloudlet.CompareRules(json.RawMessage(a), json.RawMessage(b))
		if (grade == cloudlet.Different) != (len(diffs) > 0) {
			t.Fatalf("the lists are %v, and there are %d differences", grade, len(diffs))
		}
		checkPatch(t, a, b, patch)
		seenA, seenB := map[int]bool{}, map[int]bool{}
		balance := cloudlet.CountRules([]byte(`{"matchRules":`+b+`}`)) - cloudlet.CountRules([]byte(`{"matchRules":`+a+`}`))
		for _, r := range diffs {
			if r.A > 0 && seenA[r.A] || r.B > 0 && seenB[r.B] {
				t.Fatalf("%s: a rule comes twice", ruleText(r))
			}
			seenA[r.A], seenB[r.B] = true, true
			switch r.Kind {
			case snapshot.Added:
				balance--
			case snapshot.Removed:
				balance++
			case snapshot.Changed:
				if len(r.Members) == 0 {
					t.Fatalf("%s: no member differs", ruleText(r))
				}
			case snapshot.Moved:
			}
		}
		if balance != 0 {
			t.Fatalf("rules are left over: %d", balance)
		}
	})
}

func stringsOf(texts [][]byte) []string {
	all := make([]string, 0, len(texts))
	for _, text := range texts {
		all = append(all, string(text))
	}
	return all
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkPatch applies a patch to a document with the rules a and demands rules that are equal to b.
func checkPatch(t fataler, a, b string, patch []snapshot.Operation) {
	t.Helper()
	doc := `{"version":1}`
	if a != "" {
		doc = `{"matchRules":` + a + `}`
	}
	tree := parse([]byte(doc))
	for _, o := range patch {
		if err := apply(tree, o); err != nil {
			t.Fatalf("%s: %v", operationText(o), err)
		}
	}
	var got json.RawMessage
	for name, value := range cloudlet.Members([]byte(tree.text())) {
		if name == "matchRules" {
			got = value
		}
	}
	if grade, where := cloudlet.CompareRules(got, json.RawMessage(b)); grade == cloudlet.Different {
		t.Fatalf("patched, %s is %s and not %s: %s", a, got, b, where)
	}
}

// value is a JSON value that keeps the text of all that it holds.
type value struct {
	kind  byte
	raw   string
	names []string // of an object
	kids  []*value
}

func parse(text []byte) *value {
	v := &value{kind: text[0], raw: string(text)}
	switch v.kind {
	case '{':
		for name, member := range cloudlet.Members(text) {
			v.names, v.kids = append(v.names, name), append(v.kids, parse(member))
		}
	case '[':
		for element := range cloudlet.Elements(text) {
			v.kids = append(v.kids, parse(element))
		}
	}
	return v
}

func (v *value) text() string {
	parts := make([]string, 0, len(v.kids))
	for i, kid := range v.kids {
		text := kid.text()
		if v.kind == '{' {
			text = strconv.Quote(v.names[i]) + ":" + text
		}
		parts = append(parts, text)
	}
	switch v.kind {
	case '{':
		return "{" + strings.Join(parts, ",") + "}"
	case '[':
		return "[" + strings.Join(parts, ",") + "]"
	}
	return v.raw
}

// place gives the value that holds what a pointer points to, and the last step.
func (v *value) place(pointer string) (*value, string, error) {
	steps := strings.Split(pointer, "/")[1:]
	for i, step := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
	}
	for _, step := range steps[:len(steps)-1] {
		at := v.index(step)
		if at < 0 || at >= len(v.kids) {
			return nil, "", fmt.Errorf("nothing at %q", step)
		}
		v = v.kids[at]
	}
	return v, steps[len(steps)-1], nil
}

func (v *value) index(step string) int {
	if v.kind == '{' {
		return slices.Index(v.names, step)
	}
	if step == "-" {
		return len(v.kids)
	}
	at, err := strconv.Atoi(step)
	if err != nil || v.kind != '[' {
		return -1
	}
	return at
}

func apply(root *value, o snapshot.Operation) error {
	if o.Op == "move" {
		from, step, err := root.place(o.From)
		if err != nil {
			return err
		}
		moved := from.kids[from.index(step)].text()
		return errors.Join(apply(root, snapshot.Operation{Op: "remove", Path: o.From}),
			apply(root, snapshot.Operation{Op: "add", Path: o.Path, Value: json.RawMessage(moved)}))
	}
	in, step, err := root.place(o.Path)
	if err != nil {
		return err
	}
	at := in.index(step)
	there := at >= 0 && at < len(in.kids)
	switch {
	case o.Op == "remove" && there:
		in.kids = slices.Delete(in.kids, at, at+1)
		if in.kind == '{' {
			in.names = slices.Delete(in.names, at, at+1)
		}
	case o.Op == "add" && in.kind == '[' && at >= 0 && at <= len(in.kids):
		in.kids = slices.Insert(in.kids, at, parse(o.Value))
	case o.Op == "add" && in.kind == '{' && !there:
		in.names, in.kids = append(in.names, step), append(in.kids, parse(o.Value))
	case (o.Op == "replace" || o.Op == "add") && there:
		in.kids[at] = parse(o.Value)
	default:
		return errors.New("it cannot be applied")
	}
	return nil
}

// holding writes a snapshot of documents by their path, and opens it.
func holding(t *testing.T, host string, docs map[string]string, incomplete bool) *snapshot.Snapshot {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "snapshot")
	folder, err := durable.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := snapshot.NewWriter(folder, true)
	var items []snapshot.Item
	for path, doc := range docs {
		f := snapshot.File{Path: path, Request: "/x/" + path}
		if strings.Contains(path, "/versions/") && strings.HasSuffix(path, ".json") {
			f.Listed = "listed"
		}
		if f, _, err = w.Put(f, snapshot.File{}, []byte(doc)); err != nil {
			t.Fatal(err)
		}
		items = append(items, snapshot.Item{Files: []snapshot.File{f}})
	}
	all := func(yield func(snapshot.Item, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
	if _, err := w.Finish(snapshot.Manifest{Host: host, Complete: !incomplete, Options: json.RawMessage(`{}`)}, all); err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.Open(dir)
	if err := errors.Join(err, folder.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// lines runs a comparison and writes each difference in a line.
func lines(t *testing.T, a, b *snapshot.Snapshot, o snapshot.DiffOptions) ([]string, snapshot.DiffCounts) {
	t.Helper()
	d, err := snapshot.NewDiff(a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	counts, err := d.Run(t.Context(), func(p snapshot.PolicyDiff) error {
		at := fmt.Sprintf("%s %s %d>%d", p.API, p.Name, p.A, p.B)
		found = append(found, fmt.Sprintf("%s %s", p.Kind, at))
		for _, m := range p.Members {
			found = append(found, at+" "+m.Where)
		}
		for _, n := range p.Networks {
			found = append(found, fmt.Sprintf("%s %s %v>%v", at, n.Network, n.A, n.B))
		}
		for _, v := range p.Versions {
			line := fmt.Sprintf("%s version %d %s", at, v.Version, v.Kind)
			for _, m := range v.Members {
				line += " | " + m.Where
			}
			for _, r := range v.Rules {
				line += " | " + ruleText(r)
			}
			found = append(found, line)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, counts
}

func TestDiff(t *testing.T) {
	before := map[string]string{
		"legacy/1_one/policy.json": `{"policyId":1,"name":"one","cloudletCode":"ER","groupId":5,"description":null,"lastModifiedDate":1,"createdBy":"x"}`,
		"legacy/1_one/activations.json": `[{"network":"prod","policyInfo":{"version":1,"status":"ACTIVE","activationDate":1}},
			{"network":"staging","policyInfo":{"version":1,"status":"ACTIVE","activationDate":1}}]`,
		"legacy/1_one/versions/1.json":   `{"version":1,"revisionId":7,"description":"d","matchRules":[{"name":"a","u":1}],"rulesLocked":false}`,
		"legacy/1_one/versions/2.json":   `{"version":2,"matchRules":{"odd":1}}`,
		"legacy/1_one/versions/10.json":  `{"version":10}`,
		"legacy/2_two/policy.json":       `{"policyId":2,"name":"two","cloudletCode":"ER"}`,
		"shared/1_one/policy.json":       `{"id":1,"name":"one","cloudletType":"ER","links":[1]}`,
		"origins/o/origin.json":          `{"originId":"o","description":"x","checksum":"1"}`,
		"origins/o/versions/1.json":      `{"originId":"o","version":1,"dataCenters":[{"percent":100.0}]}`,
		"account/groups.json":            `[1]`,
		"legacy/1_one/properties.json":   `{"a":1}`,
		"shared/1_one/versions/1.json":   `{"version":1,"matchRules":[{"name":"a"}]}`,
		"shared/1_one/versions/1.csv":    `{}`,
		"legacy/3_three/policy.json":     `{"policyId":3,"name":"three","cloudletCode":"FR"}`,
		"legacy/3_three/versions/4.json": `{"version":4}`,
	}
	after := map[string]string{
		"legacy/1_uno/policy.json":      `{"policyId":1,"name":"uno","cloudletCode":"ER","groupId":6,"lastModifiedDate":2,"createdBy":"y","deleted":true}`,
		"legacy/1_uno/activations.json": `[{"network":"prod","policyInfo":{"version":2,"status":"PENDING","activationDate":3}},{"network":"prod","policyInfo":{"version":1,"status":"ACTIVE","activationDate":2}}]`,
		"legacy/1_uno/versions/1.json":  `{"version":1,"revisionId":8,"description":"e","matchRules":[{"name":"a","u":2,"id":0}],"rulesLocked":true}`,
		"legacy/1_uno/versions/2.json":  `{"version":2,"matchRules":{"odd":2}}`,
		"legacy/1_uno/versions/11.json": `{"version":11}`,
		"legacy/2_two/policy.json":      `{ "policyId":2,"name":"two","cloudletCode":"ER"}`,
		"shared/1_one/policy.json":      `{"id":1,"name":"one","cloudletType":"ER","links":[2]}`,
		"shared/1_one/versions/1.json":  `{"version":1,"matchRules":[{"name":"a","akaRuleId":"new","end":0}]}`,
		"origins/o/origin.json":         `{"originId":"o","description":"y","checksum":"2"}`,
		"origins/o/versions/1.json":     `{"originId":"o","version":1,"dataCenters":[{"percent":50}]}`,
		"legacy/4_four/policy.json":     `{"policyId":4,"name":"four","cloudletCode":"FR"}`,
		"account/groups.json":           `[2]`,
	}
	a, b := holding(t, "h", before, false), holding(t, "h", after, false)
	found, counts := lines(t, a, b, snapshot.DiffOptions{Origins: true})
	want := []string{
		"changed v2 one 1>1", `v2 one 1>1 deleted: nothing against true`, `v2 one 1>1 groupId: 5 against 6`, `v2 one 1>1 name: "one" against "uno"`,
		"v2 one 1>1 staging {1 0}>{0 0}", "v2 one 1>1 production {1 0}>{1 2}",
		`v2 one 1>1 version 1 changed | description: "d" against "e" | changed "a" 1>1 | u: 1 against 2`,
		"v2 one 1>1 version 2 changed | matchRules/odd: 1 against 2", "v2 one 1>1 version 10 removed", "v2 one 1>1 version 11 added",
		"removed v2 three 3>0", "v2 three 3>0 version 4 removed", "added v2 four 0>4",
		"changed  o 0>0", ` o 0>0 description: "x" against "y"`, " o 0>0 version 1 changed | dataCenters/0/percent: 100.0 against 50",
	}
	if d := cmp.Diff(want, found); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(snapshot.DiffCounts{
		Policies: snapshot.Tally{Added: 1, Removed: 1, Changed: 1, Same: 2}, Versions: snapshot.Tally{Added: 1, Removed: 2, Changed: 2, Same: 1},
		Rules: snapshot.Tally{Changed: 1}, Networks: 2, Origins: snapshot.Tally{Changed: 1}, OriginVersions: snapshot.Tally{Changed: 1},
	}, counts); d != "" {
		t.Error(d)
	}
	found, _ = lines(t, a, b, snapshot.DiffOptions{Want: func(p cloudlet.Policy) bool { return p.Name == "uno" || p.Name == "three" }})
	if len(found) != 12 || found[0] != "changed v2 one 1>1" || found[10] != "removed v2 three 3>0" {
		t.Errorf("of two policies: %q", found)
	}
	if found, _ := lines(t, a, a, snapshot.DiffOptions{Origins: true}); len(found) > 0 {
		t.Errorf("a snapshot differs from itself: %q", found)
	}
}

func TestDiffByName(t *testing.T) {
	a := holding(t, "h", map[string]string{
		"legacy/1_x/policy.json":     `{"policyId":1,"name":"x","cloudletCode":"ER","groupId":1}`,
		"legacy/2_y/policy.json":     `{"policyId":2,"name":"y","cloudletCode":"ER","deleted":true}`,
		"legacy/3_y/policy.json":     `{"policyId":3,"name":"y","cloudletCode":"ER"}`,
		"legacy/4_x/policy.json":     `{"policyId":4,"name":"x","cloudletCode":"FR"}`,
		"legacy/3_y/versions/1.json": `{"version":1,"policyId":3,"createDate":1}`,
	}, false)
	b := holding(t, "i", map[string]string{
		"legacy/71_y/policy.json":     `{"policyId":71,"name":"y","cloudletCode":"ER"}`,
		"legacy/70_x/policy.json":     `{"policyId":70,"name":"x","cloudletCode":"ER","groupId":2,"createDate":9}`,
		"shared/72_x/policy.json":     `{"id":72,"name":"x","cloudletType":"FR"}`,
		"legacy/71_y/versions/1.json": `{"version":1,"policyId":71,"createDate":2}`,
	}, false)
	found, counts := lines(t, a, b, snapshot.DiffOptions{ByName: true})
	if d := cmp.Diff([]string{"removed v2 x 4>0", "removed v2 y 2>0", "added v3 x 0>72"}, found); d != "" || counts.Policies.Same != 2 {
		t.Errorf("%s, %+v", d, counts)
	}
	found, counts = lines(t, a, b, snapshot.DiffOptions{})
	if len(found) != 9 || counts.Policies != (snapshot.Tally{Added: 3, Removed: 4}) {
		t.Errorf("by id: %q, %+v", found, counts)
	}
}

// What an incomplete snapshot lacks may be there all the same.
func TestDiffOfIncompleteSnapshots(t *testing.T) {
	a := holding(t, "h", map[string]string{
		"legacy/1_x/policy.json":     `{"policyId":1,"name":"x"}`,
		"legacy/1_x/versions/1.json": `{"version":1,"matchRules":[]}`,
		"legacy/1_x/versions/2.json": `{"version":2,"matchRules":[]}`,
		"legacy/2_y/policy.json":     `{"policyId":2,"name":"y"}`,
	}, false)
	b := holding(t, "h", map[string]string{
		"legacy/1_x/policy.json":     `{"policyId":1,"name":"x"}`,
		"legacy/1_x/versions/1.json": `{"version":1,"matchRules":[{}]}`,
		"legacy/1_x/versions/3.json": `{"version":3,"matchRules":[]}`,
		"legacy/3_z/policy.json":     `{"policyId":3,"name":"z"}`,
	}, true)
	found, counts := lines(t, a, b, snapshot.DiffOptions{})
	want := []string{"changed v2 x 1>1", `v2 x 1>1 version 1 changed | added "" 0>1`, "v2 x 1>1 version 3 added", "added v2 z 0>3"}
	if d := cmp.Diff(want, found); d != "" || counts.Unknown != 2 {
		t.Errorf("%s, %+v", d, counts)
	}
	if found, counts := lines(t, b, a, snapshot.DiffOptions{}); len(found) != 4 || counts.Unknown != 2 || found[2] != "v2 x 1>1 version 3 removed" {
		t.Errorf("the other way: %q, %+v", found, counts)
	}
}

func TestDiffMeetsDamage(t *testing.T) {
	docs := map[string]string{
		"legacy/1_x/policy.json": `{"policyId":1,"name":"x"}`, "legacy/1_x/versions/1.json": `{"version":1,"matchRules":[]}`,
	}
	a := holding(t, "h", docs, false)
	docs["legacy/1_x/versions/1.json"] = `{"version":1,"matchRules":[{}]}`
	b := holding(t, "h", docs, false)
	for _, path := range []string{"legacy/1_x/versions/1.json", "legacy/1_x/policy.json"} {
		if err := appendTo(filepath.Join(b.Path(), path), " "); err != nil {
			t.Fatal(err)
		}
		d, err := snapshot.NewDiff(a, b, snapshot.DiffOptions{})
		if err == nil {
			_, err = d.Run(t.Context(), func(snapshot.PolicyDiff) error { return nil })
		}
		if !errors.Is(err, snapshot.ErrDamaged) {
			t.Errorf("%s is damaged: %v", path, err)
		}
	}
	if err := os.Remove(filepath.Join(a.Path(), "legacy/1_x/policy.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.NewDiff(a, b, snapshot.DiffOptions{}); !errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("a policy is missing: %v", err)
	}
}
