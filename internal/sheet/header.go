package sheet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// none is the column of a position that is not to be read.
const none Column = -1

// header is which column is where.
type header struct {
	names   []string     // as the sheet has them; nil: the sheet has no header
	columns []Column     // by position; none where the sheet's column is unknown or left out
	watched []int        // positions that may hold no data
	at      [Columns]int // positions by column; -1 where the sheet has none
	dialect Dialect
}

// key is a name of a column without all that people write differently.
func key(name string) string {
	return strings.TrimPrefix(fold(name), "result.")
}

func fold(name string) string {
	return strings.Map(func(c rune) rune {
		if c == '_' || c == '-' || unicode.IsSpace(c) || unicode.Is(unicode.Cf, c) { // Cf: zero-width characters
			return -1
		}
		return unicode.ToLower(c)
	}, name)
}

// aliases gives the columns by the keys of their names.
func aliases(d Dialect) map[string]Column {
	known := map[string]Column{
		"hostname": HostColumn, "protocol": SchemeColumn, "device": DeviceColumn, "continent": ContinentColumn,
		"country": CountryColumn, "region": RegionColumn, "matchalways": MatchesAlwaysColumn,
	}
	for c := range Column(Columns) {
		known[key(c.String())] = c
	}
	if d == Simple {
		maps.Copy(known, simpleAliases())
		known["name"] = NameColumn
		for _, status := range []string{"status", "code", "httpstatus", "httpcode", "httpstatuscode"} {
			known[status] = StatusColumn
		}
	}
	return known
}

// simpleAliases are the names of source and target that Control Center never writes.
func simpleAliases() map[string]Column {
	known := map[string]Column{}
	for _, source := range []string{
		"source", "from", "old", "url", "oldurl", "fromurl", "sourceurl", "originurl", "oldpath", "frompath",
		"sourcepath", "originpath", "redirectfrom",
	} {
		known[source] = SourceColumn
	}
	for _, target := range []string{
		"target", "to", "new", "destination", "newurl", "tourl", "targeturl", "destinationurl", "newpath", "topath",
		"targetpath", "destinationpath", "redirectto",
	} {
		known[target] = TargetColumn
	}
	return known
}

// ours tells whether a column is one that we add to rejected.csv.
func ours(name string) bool {
	return slices.Contains([]string{"cmigline", "cmigcolumn", "cmigcode", "cmigreason"}, fold(name))
}

// dialectOf finds the dialect of a header. What Control Center writes proves nothing where source and target both have
// other names, and ruleName alone nothing where one of them has.
func dialectOf(names []string) Dialect {
	var source, target, rule, result bool
	own := simpleAliases()
	for _, name := range names {
		k := fold(name)
		c, is := own[k]
		source = source || is && c == SourceColumn
		target = target || is && c == TargetColumn
		rule = rule || k == "rulename"
		result = result || k == "matchurl" || strings.HasPrefix(k, "result.")
	}
	if source && target || !result && (!rule || source || target) {
		return Simple
	}
	return PolicyManager
}

// canonical is what a dialect calls a column.
func (d Dialect) canonical(c Column) string {
	own := map[Column]string{NameColumn: "name", SourceColumn: "source", TargetColumn: "target", StatusColumn: "status"}
	if name, ok := own[c]; ok && d == Simple {
		return name
	}
	return c.String()
}

// newHeader reads a header.
func newHeader(names []string, d Dialect, ignore []string) (*header, *Error) {
	if d == "" {
		d = dialectOf(names)
	}
	h := &header{names: names, dialect: d, columns: slices.Repeat([]Column{none}, len(names))}
	known, unknown := aliases(d), map[string]int{}
	for c := range h.at {
		h.at[c] = -1
	}
	left := slices.Clone(ignore)
	for i, name := range names {
		c, is := known[key(name)]
		first, twice := -1, false
		switch {
		case is:
			first, twice = h.at[c], h.at[c] >= 0
			h.columns[i], h.at[c] = c, i
		case name != "":
			first, twice = unknown[fold(name)]
			unknown[fold(name)] = i
		}
		if twice {
			return nil, &Error{
				Offset: -1, Code: CodeDuplicate, Column: name,
				Text: fmt.Sprintf("columns %d (%s) and %d (%s) are the same column", first+1, names[first], i+1, name),
			}
		}
		if !is && !h.ignored(i, &left) && !ours(name) {
			h.watched = append(h.watched, i)
		}
	}
	if len(left) > 0 {
		return nil, h.wrongIgnore(left[0])
	}
	return h, h.missing()
}

// ignored tells whether position i is to be ignored, and takes its name from what is left to find.
func (h *header) ignored(i int, left *[]string) bool {
	before := len(*left)
	*left = slices.DeleteFunc(*left, func(name string) bool {
		return fold(name) == fold(h.names[i]) || h.names[i] == "" && fold(name) == fold(position(i))
	})
	return len(*left) < before
}

func (h *header) wrongIgnore(name string) *Error {
	for i, is := range h.names {
		if h.columns[i] != none && fold(is) == fold(name) {
			return wrong(CodeIgnore, "the column %q cannot be ignored, because its meaning is known", name)
		}
	}
	return wrong(CodeIgnore, "there is no column %q to ignore; the header is %s", name, quoted(h.names))
}

func (h *header) missing() *Error {
	var lack []string
	if h.dialect == Simple && h.at[SourceColumn] < 0 {
		lack = append(lack, h.dialect.canonical(SourceColumn))
	}
	if h.at[TargetColumn] < 0 {
		lack = append(lack, h.dialect.canonical(TargetColumn))
	}
	if lack == nil {
		return nil
	}
	return wrong(CodeMissing, "there is no column for %s; what was read as the header (%s) is %s",
		strings.Join(lack, " and "), h.dialect, quoted(h.names))
}

// headless is the header of a sheet that begins with its first row.
func headless(cells int) (*header, *Error) {
	order := []Column{SourceColumn, TargetColumn, StatusColumn, NameColumn}
	if cells > len(order) {
		return nil, wrong(CodeHeader, "%d columns without a header: only source, target, status and name need none", cells)
	}
	h := &header{columns: order[:cells], dialect: Simple}
	for c := range h.at {
		h.at[c] = slices.Index(h.columns, Column(c))
	}
	return h, nil
}

// name is how messages call position i.
func (h *header) name(i int) string {
	if i < len(h.names) && h.names[i] != "" {
		return h.names[i]
	}
	return position(i)
}

func position(i int) string { return fmt.Sprintf("column %d", i+1) }

func quoted(names []string) string {
	const most = 30
	var list []string
	for _, name := range names[:min(len(names), most)] {
		list = append(list, fmt.Sprintf("%q", clip(name)))
	}
	if len(names) > most {
		list = append(list, "...")
	}
	return strings.Join(list, ", ")
}

// clip shortens a text for a message.
func clip(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "..."
	}
	return text
}

// looksLikeData tells whether the cells of a first row are a redirect and no header.
func looksLikeData(cells []string) bool {
	return len(cells) >= 2 && looksLikeURL(trim(cells[0]), true) && looksLikeURL(trim(cells[1]), false)
}

// looksLikeURL knows /path, scheme://host and, where bare, also host/path.
func looksLikeURL(cell string, bare bool) bool {
	if strings.ContainsFunc(cell, unicode.IsSpace) && !strings.HasPrefix(cell, "/") && !strings.Contains(cell, "://") {
		return false
	}
	if strings.HasPrefix(cell, "/") {
		return true
	}
	if scheme, rest, ok := strings.Cut(cell, "://"); ok && rest != "" {
		return strings.Trim(strings.ToLower(scheme), "abcdefghijklmnopqrstuvwxyz*") == ""
	}
	host, _, _ := strings.Cut(cell, "/")
	dot := strings.LastIndexByte(host, '.')
	return bare && dot > 0 && dot < len(host)-2 && strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789-.*:") == ""
}
