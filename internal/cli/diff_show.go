package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/report"
	"cloudletmig/internal/snapshot"
)

// diffShower writes what diff finds while it is found, as text or as the members of a JSON document.
type diffShower struct {
	a           *app
	out         *bufio.Writer
	left, right string
	shown       int
}

func (s *diffShower) json() bool { return s.a.global.Output == "json" }

// begin begins the JSON document. Errors of writing stay with out until the end.
func (s *diffShower) begin(byName bool) {
	if !s.json() {
		return
	}
	matched := "id"
	if byName {
		matched = "name"
	}
	s.a.begun = true
	fmt.Fprintf(s.out, "{\n  \"command\": \"diff\",\n  \"a\": %s,\n  \"b\": %s,\n  \"matched_by\": %q,\n  \"policies\": [",
		jsonText(s.left, ""), jsonText(s.right, ""), matched)
}

// jsonText is v as indented JSON behind prefix.
func jsonText(v any, prefix string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent(prefix, "  ")
	if err := enc.Encode(v); err != nil {
		return []byte("null") // what is shown is made of valid JSON and strings
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// policy shows one policy, or origin, that differs.
func (s *diffShower) policy(p snapshot.PolicyDiff) error {
	s.shown++
	if s.json() {
		if s.shown > 1 {
			_ = s.out.WriteByte(',')
		}
		_, err := fmt.Fprintf(s.out, "\n    %s", jsonText(p, "    "))
		return err
	}
	return s.policyText(p)
}

// end writes what is left of the differences.
func (s *diffShower) end(counts snapshot.DiffCounts, whole bool) error {
	if s.json() {
		if s.shown > 0 {
			_, _ = s.out.WriteString("\n  ")
		}
		_, _ = s.out.WriteString("]")
		s.a.document = map[string]any{
			"counts": counts, "finished": whole,
			"classes": map[string]int{"differences": counts.Policies.Differences() + counts.Origins.Differences(), "unknown": counts.Unknown},
		}
	}
	return s.out.Flush()
}

// verdict prints the sums for people, and gives the error that stands for the result.
func (s *diffShower) verdict(c snapshot.DiffCounts, lacking int) error {
	differences := c.Policies.Differences() + c.Origins.Differences()
	headline := fmt.Sprintf("%s and %s are equal: %s, %s", cloudlet.Printable(s.left), cloudlet.Printable(s.right),
		plural(c.Policies.Same, "policy", "policies"), plural(c.Versions.Same, "version", "versions"))
	var facts []report.Fact
	if n := c.Origins.Same; n > 0 {
		headline += ", " + plural(n, "origin", "origins")
	}
	switch {
	case differences > 0:
		headline = fmt.Sprintf("%s and %s DIFFER", cloudlet.Printable(s.left), cloudlet.Printable(s.right))
		facts = s.facts(c)
	case lacking > 0:
		headline = strings.Replace(headline, " are equal:", " are equal as far as they could be compared:", 1)
	}
	var err error
	if lacking > 0 {
		err = uncompared(lacking)
	}
	if differences > 0 {
		err = errors.Join(err, errDifferences)
	}
	if s.json() {
		return err
	}
	return errors.Join(report.Summary{Headline: headline, Facts: facts}.Text(s.a.out), err)
}

func (s *diffShower) facts(c snapshot.DiffCounts) []report.Fact {
	var facts []report.Fact
	for _, f := range []struct {
		name  string
		tally snapshot.Tally
		same  bool
	}{
		{"policies", c.Policies, true},
		{"versions", c.Versions, true},
		{"rules", c.Rules, false},
		{"origins", c.Origins, true},
		{"their versions", c.OriginVersions, true},
	} {
		if f.tally != (snapshot.Tally{}) {
			facts = append(facts, report.Fact{Name: f.name, Value: s.tally(f.tally, f.same)})
		}
	}
	if c.Networks > 0 {
		facts = append(facts, report.Fact{Name: "live", Value: "not the same on " + plural(c.Networks, "network of a policy", "networks of policies")})
	}
	if c.Unknown > 0 {
		facts = append(facts, report.Fact{Name: "unknown", Value: report.Number(c.Unknown) + " missing where not everything was exported"})
	}
	return facts
}

// tally is what was counted, in words.
func (s *diffShower) tally(t snapshot.Tally, same bool) string {
	var parts []string
	for _, p := range []struct {
		n    int
		text string
	}{{t.Removed, s.only(snapshot.Removed)}, {t.Added, s.only(snapshot.Added)}, {t.Changed, "changed"}, {t.Moved, "moved"}} {
		if p.n > 0 {
			parts = append(parts, report.Number(p.n)+" "+p.text)
		}
	}
	if same {
		parts = append(parts, report.Number(t.Same)+" the same")
	}
	return strings.Join(parts, ", ")
}

func (s *diffShower) only(kind snapshot.Change) string {
	if kind == snapshot.Removed {
		return "only in " + cloudlet.Printable(s.left)
	}
	return "only in " + cloudlet.Printable(s.right)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return report.Number(n) + " " + many
}

// shownChanges is how many rules of a version, and shownMembers how many members of a rule, are shown to people.
const (
	shownChanges = 10
	shownMembers = 3
)

func (s *diffShower) policyText(p snapshot.PolicyDiff) error {
	name := "origin " + cloudlet.Printable(p.Name)
	if p.API != "" {
		id := p.A
		if id == 0 {
			id = p.B
		}
		name = fmt.Sprintf("%s:%d %s (%s)", p.API, id, cloudlet.Printable(p.Name), cloudlet.Printable(p.Type))
	}
	if p.Kind != snapshot.Changed {
		_, err := fmt.Fprintf(s.out, "%s: %s, with %s\n", name, s.only(p.Kind), plural(len(p.Versions), "version", "versions"))
		return err
	}
	fmt.Fprintf(s.out, "%s:\n", name)
	for _, m := range p.Members {
		fmt.Fprintf(s.out, "  %s\n", m.Where)
	}
	for _, n := range p.Networks {
		fmt.Fprintf(s.out, "  %s: %s against %s\n", n.Network, liveText(n.A), liveText(n.B))
	}
	for _, v := range p.Versions {
		s.versionText(v)
	}
	return nil
}

// liveText says what is live on a network.
func liveText(v snapshot.LiveVersions) string {
	text := "nothing live"
	if v.Effective > 0 {
		text = fmt.Sprintf("version %d", v.Effective)
	}
	if v.Pending > 0 {
		text += fmt.Sprintf(" (version %d is coming)", v.Pending)
	}
	return text
}

func (s *diffShower) versionText(v snapshot.VersionDiff) {
	if v.Kind != snapshot.Changed {
		fmt.Fprintf(s.out, "  version %d: %s\n", v.Version, s.only(v.Kind))
		return
	}
	text := "changed"
	if len(v.Rules) > 0 {
		text = "rules " + ruleSums(v.Rules)
	}
	fmt.Fprintf(s.out, "  version %d: %s\n", v.Version, text)
	for _, m := range v.Members {
		fmt.Fprintf(s.out, "    %s\n", m.Where)
	}
	s.rulesText(v.Rules, "    ")
}

func ruleSums(rules []snapshot.RuleDiff) string {
	sums := map[snapshot.Change]int{}
	for _, r := range rules {
		sums[r.Kind]++
	}
	var parts []string
	for _, kind := range []snapshot.Change{snapshot.Added, snapshot.Removed, snapshot.Changed, snapshot.Moved} {
		if sums[kind] > 0 {
			parts = append(parts, report.Number(sums[kind])+" "+string(kind))
		}
	}
	return strings.Join(parts, ", ")
}

// rulesText shows the first rules that differ: - removed, + added, ~ changed, > moved.
func (s *diffShower) rulesText(rules []snapshot.RuleDiff, indent string) {
	for _, r := range rules[:min(len(rules), shownChanges)] {
		switch r.Kind {
		case snapshot.Removed:
			fmt.Fprintf(s.out, "%s- rule %d%s\n", indent, r.A, ruleName(r.Name))
		case snapshot.Added:
			fmt.Fprintf(s.out, "%s+ rule %d%s\n", indent, r.B, ruleName(r.Name))
		case snapshot.Moved:
			fmt.Fprintf(s.out, "%s> rule %d%s: it was rule %d\n", indent, r.B, ruleName(r.Name), r.A)
		case snapshot.Changed:
			fmt.Fprintf(s.out, "%s~ rule %d%s", indent, r.B, ruleName(r.Name))
			if r.Moved {
				fmt.Fprintf(s.out, ", which was rule %d", r.A)
			}
			fmt.Fprintln(s.out, ":")
			for _, m := range r.Members[:min(len(r.Members), shownMembers)] {
				fmt.Fprintf(s.out, "%s    %s\n", indent, m.Where)
			}
			s.more(len(r.Members)-shownMembers, "members", indent+"    ")
		}
	}
	s.more(len(rules)-shownChanges, "rules", indent)
}

func (s *diffShower) more(n int, what, indent string) {
	if n > 0 {
		fmt.Fprintf(s.out, "%s... and %s more %s; --output json shows all\n", indent, report.Number(n), what)
	}
}

// nameRoom is how many characters of a rule's name are shown.
const nameRoom = 60

func ruleName(name string) string {
	if name == "" {
		return " without a name"
	}
	if utf8.RuneCountInString(name) > nameRoom {
		name = string([]rune(name)[:nameRoom]) + "..."
	}
	return ` "` + cloudlet.Printable(name) + `"`
}
