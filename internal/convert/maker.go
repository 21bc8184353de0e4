package convert

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"cloudletmig/internal/redirect"
	"cloudletmig/internal/sheet"
)

// maxText is how long names, URLs and values can be, in characters (Cloudlets API v3, erMatchRule).
const maxText = 8192

// treatment is how a row is turned into a rule, as decided from what all rows say together.
type treatment uint8

const (
	caseSensitive treatment = 1 << iota // the case of path and query counts
	keepScheme                          // the scheme of the source counts
	asWritten                           // neither counts, whatever the row's own target is
)

// entry is one row turned into a rule.
type entry struct {
	src     source
	rule    redirect.Rule
	notes   []finding // warnings
	store   [4]redirect.Match
	pinned  bool             // the source's scheme counts
	flagged bool             // columns say how the target is completed
	made    int              // how many matches the source made
	asked   []redirect.Match // those that columns made
	extra   bool             // columns ask for more than the source does
}

func (e *entry) note(code string, column sheet.Column, text string) {
	for _, n := range e.notes {
		if n.code == code && n.column == column {
			return
		}
	}
	e.notes = append(e.notes, finding{code, column, text})
}

// maker turns rows into rules. The same row and the same treatment give the same rule, whenever they are made.
type maker struct {
	options *Options
	dialect sheet.Dialect
}

// make turns a row into a rule, which gets a name of its own later. What it gives else than nil is why the row is
// rejected.
func (m *maker) make(row *sheet.Row, how treatment, e *entry) *finding {
	held := columnsOf(row)
	if bad := checkCells(row, held); bad != nil {
		return bad
	}
	return m.makeSound(row, held, how, e)
}

// plainCells are those of a row that asks for nothing but its source.
const plainCells columns = 1<<sheet.NameColumn | 1<<sheet.SourceColumn | 1<<sheet.TargetColumn | 1<<sheet.StatusColumn

// flagCells say how a target is completed.
const flagCells columns = 1<<sheet.UseIncomingQueryStringColumn | 1<<sheet.UseIncomingSchemeAndHostColumn | 1<<sheet.UseRelativeURLColumn

// makeSound is make for a row of which the cells have been checked.
func (m *maker) makeSound(row *sheet.Row, held columns, how treatment, e *entry) *finding {
	*e = entry{notes: e.notes[:0]}
	r := &e.rule
	r.Name = unescape(row.Name)
	if row.Source != "" {
		if bad := m.parseSource(row.Source, e); bad != nil {
			return bad
		}
	}
	if bad := m.fillTarget(row, e); bad != nil {
		return bad
	}
	matches := e.store[:0]
	if row.Source != "" {
		matches = m.fillSource(e, how, matches)
	}
	e.made = len(matches)
	if !held.within(plainCells) {
		var bad *finding
		if matches, bad = criteriaMatches(row, matches); bad != nil {
			return bad
		}
		if row.Regex != "" {
			if matches, bad = m.regexMatch(row, e, matches); bad != nil {
				return bad
			}
		}
	}
	matches = askOnce(matches, e.made)
	e.flagged = !held.within(^flagCells)
	e.extra = len(matches) > e.made
	if r.Matches = matches; len(matches) == 0 {
		r.Matches = nil
	}
	e.asked = matches[e.made:]
	if e.extra && e.made > 0 { // one order, wherever a match comes from
		r.Matches = slices.Clone(matches)
		slices.SortStableFunc(r.Matches, func(a, b redirect.Match) int { return rankOf(a.Type) - rankOf(b.Type) })
	}
	if bad := fillState(row, r); bad != nil {
		return bad
	}
	return checkLengths(row, r)
}

// askOnce leaves the scheme out that both the source, which made the first matches, and a column ask for.
func askOnce(matches []redirect.Match, made int) []redirect.Match {
	if made == 0 || matches[0].Type != typeProtocol {
		return matches
	}
	same := func(m redirect.Match) bool { return m.Type == typeProtocol && !m.Negate && m.Value == matches[0].Value }
	if at := slices.IndexFunc(matches[made:], same); at >= 0 {
		return slices.Delete(matches, made+at, made+at+1)
	}
	return matches
}

// fillSource says with a match URL, or with matches, what the source asks for.
func (m *maker) fillSource(e *entry, how treatment, to []redirect.Match) []redirect.Match {
	s := &e.src
	if how&asWritten == 0 {
		how |= m.forOwnTarget(e)
	}
	pinned := s.scheme != "" && (m.options.Scheme == SchemeKeep || how&keepScheme != 0)
	if pinned && m.dialect == sheet.Simple {
		e.note(codeScheme, sheet.SourceColumn, "the scheme of the source counts in this rule")
	}
	e.pinned = pinned
	pinned = pinned || m.dialect == sheet.PolicyManager
	sensitive := how&caseSensitive != 0 && s.sensible()
	both := m.options.Slash == SlashBoth && !s.wildcard && s.query == "" && s.path != "/" && m.dialect == sheet.Simple
	if s.literal || sensitive || both {
		return s.matches(pinned, sensitive, both, to)
	}
	e.rule.MatchURL = s.matchURL(pinned)
	return to
}

// sensible reports whether the case of a source can be made to count.
func (s *source) sensible() bool { return s.path != "" && !s.wildcard && !s.asked }

// forOwnTarget is the treatment without which a row would lead to itself: its target is its source but for the scheme, or
// but for case.
func (m *maker) forOwnTarget(e *entry) treatment {
	s := &e.src
	target, _, _ := strings.Cut(e.rule.RedirectURL, "#")
	scheme, rest, absolute := strings.Cut(target, "://")
	host, path := "", target
	if absolute {
		host, path = rest, "/"
		if at := strings.IndexByte(rest, '/'); at >= 0 {
			host, path = rest[:at], rest[at:]
		}
		if s.host == "" || !sameFold(host, s.host) {
			return 0
		}
	}
	path, query, _ := strings.Cut(path, "?")
	asked := strings.Join(s.params, "&")
	if query == "" && e.rule.UseIncomingQueryString {
		query = asked
	}
	if !sameFold(path, s.path) || s.asked || !sameFold(query, asked) {
		return 0
	}
	same := path == s.path && query == asked
	switch {
	case !same && s.sensible():
		e.note(codeCaseOnly, sheet.TargetColumn, "the target differs from the source in case alone, so the case counts in this rule")
		return caseSensitive
	case same && absolute && s.scheme != "" && lower(scheme) != s.scheme:
		return keepScheme
	}
	return 0
}

// fillState sets whether and when a rule is on.
func fillState(row *sheet.Row, r *redirect.Rule) *finding {
	var ok bool
	if r.Disabled, ok = flag(row.Disabled); !ok {
		return reject(codeBadFlag, sheet.DisabledColumn, "%s: give 1 or nothing", shown(row.Disabled))
	}
	if r.MatchesAlways, ok = flag(row.MatchesAlways); !ok {
		return reject(codeBadFlag, sheet.MatchesAlwaysColumn, "%s: give 1 or nothing", shown(row.MatchesAlways))
	}
	asked := r.MatchURL != "" || len(r.Matches) > 0
	if r.MatchesAlways && asked {
		return reject(codeAlways, sheet.MatchesAlwaysColumn, "the row matches always and asks for something: one of them")
	}
	if !r.MatchesAlways && !asked {
		return reject(codeNoSource, sheet.SourceColumn, "there is no source, and nothing else that a request must have")
	}
	var bad *finding
	if r.Start, bad = moment(row.Start, sheet.StartColumn); bad != nil {
		return bad
	}
	if r.End, bad = moment(row.End, sheet.EndColumn); bad != nil {
		return bad
	}
	if r.End != 0 && r.End <= r.Start {
		return reject(codeBadTime, sheet.EndColumn, "the end is not after the start")
	}
	return nil
}

// moment reads a time: seconds since 1970, or a date with time and zone.
func moment(cell string, column sheet.Column) (int64, *finding) {
	if cell == "" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(cell, 10, 64); err == nil && n >= 0 && strconv.FormatInt(n, 10) == cell {
		return n, nil
	}
	if t, err := time.Parse(time.RFC3339, cell); err == nil && t.Unix() >= 0 {
		return t.Unix(), nil
	}
	return 0, reject(codeBadTime, column, "%s: give seconds since 1970, or a time such as 2027-01-31T18:00:00Z", shown(cell))
}

// checkCells refuses control characters, which no rule can hold.
func checkCells(row *sheet.Row, held columns) *finding {
	for c := range held.each {
		cell := row.Cell(c)
		if r, found := control(cell); found {
			return reject(codeControl, c, "%s holds the control character %U", shown(cell), r)
		}
	}
	return nil
}

// checkLengths refuses what is longer than the API takes.
func checkLengths(row *sheet.Row, r *redirect.Rule) *finding {
	for _, part := range []struct {
		text   string
		column sheet.Column
	}{{r.Name, sheet.NameColumn}, {r.MatchURL, sheet.SourceColumn}, {r.RedirectURL, sheet.TargetColumn}} {
		if n := characters(part.text); n > maxText {
			return reject(codeTooLong, part.column, "it has %d characters in the rule, and %d are allowed", n, maxText)
		}
	}
	for _, match := range r.Matches {
		column := columnOf(match.Type)
		if row.Cell(column) == "" { // the source made it
			column = sheet.SourceColumn
		}
		if n := characters(match.Value); n > maxText {
			return reject(codeTooLong, column, "it has %d characters in the rule, and %d are allowed", n, maxText)
		}
		if match.Object == nil {
			continue
		}
		for _, v := range match.Object.Values {
			if n := characters(v); n > maxText {
				return reject(codeTooLong, column, "a value has %d characters, and %d are allowed", n, maxText)
			}
		}
	}
	return nil
}

// rankOf is the place of a match type among the criteria.
func rankOf(matchType string) int {
	for i, c := range criteria {
		if c.kind == matchType {
			return i
		}
	}
	return len(criteria)
}

func columnOf(matchType string) sheet.Column {
	for _, c := range criteria {
		if c.kind == matchType {
			return c.column
		}
	}
	if matchType == typeRegex {
		return sheet.RegexColumn
	}
	return sheet.SourceColumn
}
