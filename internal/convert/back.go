package convert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cloudletmig/internal/redirect"
	"cloudletmig/internal/sheet"
)

// Unsayable is a rule of which a sheet cannot say everything.
type Unsayable struct {
	Rule int    // its place in the list, from 1
	Name string // of the rule
	What string // what is lost, in words
}

func (u Unsayable) String() string { return fmt.Sprintf("rule %d (%s): %s", u.Rule, u.Name, u.What) }

// Rows turns rules into rows of the policy-manager dialect, one each. What a sheet cannot say of them is left out and
// listed, and such a row is disabled, for without a condition it would take more requests than the rule does; the rows of
// rules that are not listed convert to these very rules again.
func Rows(rules []json.RawMessage) ([]sheet.Row, []Unsayable, error) {
	m := maker{options: &Options{
		Status: 301, Scheme: SchemeKeep, Wildcards: WildcardsAll, Fragment: FragmentReject, Slash: SlashExact, Query: QueryDrop, Relative: relativeURL,
	}, dialect: sheet.PolicyManager}
	rows := make([]sheet.Row, 0, len(rules))
	var lost []Unsayable
	var e entry
	for i, raw := range rules {
		r, err := redirect.Parse(raw)
		if err != nil {
			return nil, nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		row, missing := rowOf(&r)
		if len(missing) == 0 {
			missing = m.differences(&row, &r, &e)
		}
		for _, what := range missing {
			lost = append(lost, Unsayable{i + 1, r.Name, what})
			row.Disabled = mark1(true)
		}
		rows = append(rows, row)
	}
	return rows, lost, nil
}

// rowOf writes a rule as a row, and says what has no place in it.
func rowOf(r *redirect.Rule) (sheet.Row, []string) {
	row := sheet.Row{
		Name: r.Name, Source: r.MatchURL, Target: r.RedirectURL, Status: strconv.Itoa(r.StatusCode), UseRelativeURL: r.UseRelativeURL,
		Disabled: mark1(r.Disabled), MatchesAlways: mark1(r.MatchesAlways),
		UseIncomingQueryString: mark1(r.UseIncomingQueryString), UseIncomingSchemeAndHost: mark1(r.UseIncomingSchemeAndHost),
	}
	if row.UseRelativeURL == "" {
		row.UseRelativeURL = relativeNone
	}
	if r.Start != 0 {
		row.Start = strconv.FormatInt(r.Start, 10)
	}
	if r.End != 0 {
		row.End = strconv.FormatInt(r.End, 10)
	}
	var missing []string
	for _, name := range r.Unknown {
		missing = append(missing, "the member "+name)
	}
	if strings.HasPrefix(row.Name, "#") { // the row would be a comment
		row.Name = strings.TrimLeft(row.Name, "# ")
		missing = append(missing, "a name that begins with #")
	}
	for i := range r.Matches {
		if what := setCriterion(&row, &r.Matches[i]); what != "" {
			missing = append(missing, what)
		}
	}
	return row, missing
}

func mark1(on bool) string {
	if on {
		return "1"
	}
	return ""
}

// setCriterion adds a match to the cell of its column; what it gives is why that cannot be done.
func setCriterion(row *sheet.Row, m *redirect.Match) string {
	words := fmt.Sprintf("a match of type %s with operator %s", m.Type, m.Operator)
	if m.Type == typeRegex && !m.Negate && !m.CaseSensitive && m.Object == nil && row.Regex == "" {
		row.Regex = m.Value
		return ""
	}
	for _, c := range criteria {
		if c.kind != m.Type {
			continue
		}
		cell, ok := cellOf(m)
		earlier := row.Cell(c.column)
		if !ok || earlier != "" && !c.and {
			return words
		}
		if earlier != "" {
			cell = earlier + " & " + cell
		}
		row.SetCell(c.column, cell)
		return ""
	}
	return words
}

// cellOf writes one match in the syntax of cells.
func cellOf(m *redirect.Match) (string, bool) {
	values, name := strings.Fields(m.Value), ""
	if o := m.Object; o != nil {
		if o.NameHasWildcard || o.NameCaseSensitive || o.ValueEscaped || o.ValueCaseSensitive != m.CaseSensitive {
			return "", false
		}
		values, name = slices.Clone(o.Values), o.Name
	}
	wildcards := m.Operator == opContains || m.Type == typeHostname
	wrap := m.Operator == opContains && m.Object == nil
	for _, v := range values {
		wrap = wrap && !strings.ContainsAny(v, "*?")
	}
	for i, v := range values {
		v = strings.ReplaceAll(v, " ", `\ `)
		switch {
		case wrap:
			v = "*" + v + "*"
		case !wildcards:
			v = strings.NewReplacer("*", `\*`, "?", `\?`).Replace(v)
		}
		values[i] = v
	}
	cell := strings.Join(values, " ")
	if name != "" && m.Operator == opExists {
		cell = name
	} else if name != "" {
		cell = name + "=" + cell
	}
	if m.CaseSensitive {
		cell = ":" + cell
	}
	if m.Negate {
		cell = "!" + cell
	}
	if m.CheckIPs != "" {
		cell += ";" + m.CheckIPs
	}
	return cell, true
}

// differences converts a row back and says where its rule is another one.
func (m *maker) differences(row *sheet.Row, r *redirect.Rule, e *entry) []string {
	if bad := m.make(row, 0, e); bad != nil {
		return []string{bad.column.String() + ": " + bad.text}
	}
	want, got := *r, e.rule
	if want.UseRelativeURL == "" { // which is the same (Cloudlets API v3, useRelativeUrl)
		want.UseRelativeURL = relativeNone
	}
	want.Matches = slices.Clone(want.Matches)
	slices.SortStableFunc(want.Matches, func(a, b redirect.Match) int { return rankOf(a.Type) - rankOf(b.Type) })
	for i := range want.Matches {
		if want.Matches[i].Operator == "" {
			want.Matches[i].Operator = opEquals
		}
	}
	if bytes.Equal(want.AppendJSON(nil), got.AppendJSON(nil)) {
		return nil
	}
	if slices.ContainsFunc(e.notes, func(n finding) bool { return n.code == codeCaseOnly }) {
		return []string{"the redirect URL differs from the match URL in case alone, and a conversion makes the case count"}
	}
	for _, part := range []struct {
		name string
		same bool
	}{
		{"the name", want.Name == got.Name}, {"the match URL", want.MatchURL == got.MatchURL}, {"the redirect URL", want.RedirectURL == got.RedirectURL},
	} {
		if !part.same {
			return []string{part.name + " has characters that a sheet changes"}
		}
	}
	for i := range want.Matches {
		if i >= len(got.Matches) || !sameMatch(&want.Matches[i], &got.Matches[i]) {
			return []string{fmt.Sprintf("a match of type %s, value %s", want.Matches[i].Type, shown(want.Matches[i].Value))}
		}
	}
	return []string{"something of it"}
}

func sameMatch(a, b *redirect.Match) bool {
	one, two := redirect.Rule{Matches: []redirect.Match{*a}}, redirect.Rule{Matches: []redirect.Match{*b}}
	return bytes.Equal(one.AppendJSON(nil), two.AppendJSON(nil))
}

// plainColumns are those of a sheet as Control Center downloads it.
var plainColumns = []sheet.Column{ //nolint:gochecknoglobals // a table that is only read
	sheet.NameColumn, sheet.SourceColumn, sheet.SchemeColumn, sheet.HostColumn, sheet.PathColumn, sheet.QueryColumn, sheet.DisabledColumn,
	sheet.UseIncomingQueryStringColumn, sheet.UseIncomingSchemeAndHostColumn, sheet.UseRelativeURLColumn, sheet.TargetColumn, sheet.StatusColumn,
}

// SheetColumns are the columns that a sheet of rows needs: those that Control Center downloads, and others that hold data.
func SheetColumns(rows []sheet.Row) []sheet.Column {
	columns := slices.Clone(plainColumns)
	for c := range sheet.Column(sheet.Columns) {
		if slices.Contains(columns, c) {
			continue
		}
		for i := range rows {
			if rows[i].Cell(c) != "" {
				columns = append(columns, c)
				break
			}
		}
	}
	return columns
}

// WriteSheet turns rules into a sheet of the policy-manager dialect, and says what it cannot hold.
func WriteSheet(to *bytes.Buffer, rules []json.RawMessage) ([]Unsayable, error) {
	rows, lost, err := Rows(rules)
	if err != nil {
		return nil, err
	}
	w := sheet.NewWriter(to, sheet.PolicyManager, SheetColumns(rows))
	for i := range rows {
		if err := w.Write(&rows[i]); err != nil {
			return nil, err
		}
	}
	return lost, w.Flush()
}
