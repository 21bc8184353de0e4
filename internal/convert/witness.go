package convert

import (
	"maps"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"cloudletmig/internal/redirect"
)

// What a witness has of its own where its row asks for nothing.
const (
	anyHost = "cmig-witness.invalid" // no sheet names it
	anyPath = "/cmig-witness"
	anyText = "cmig" // what a wildcard stands for
)

// The match types of visitors, beside those of the cells (cell.go).
const (
	typeClientIP  = "clientip"
	typeClientIP6 = "clientipv6"
	typeContinent = "continent"
	typeCountry   = "countrycode"
	typeRegion    = "regioncode"
	typeProxy     = "proxy"
	bothProxies   = "both" // anonymous ones and transparent ones
)

// witness is one request that a row asks for, and the answer that the row says it gets. It is made of the row's own
// words, and shares no code with the evaluator.
type witness struct {
	req      redirect.Request
	status   int
	location string
	// none says why there is no witness; the rest is empty then.
	none string
	// shaky says that the row's criteria may contradict each other, so that nothing at all may be what they ask for.
	shaky bool
	// vague says that the location is a guess: what the * of the target receives cannot be told from the row's words.
	vague bool
}

// make fills the witness of a row.
func (w *witness) make(e *entry) {
	r := &e.rule
	*w = witness{status: r.StatusCode, shaky: e.extra && (e.src.path != "" || contradictory(e.asked))}
	w.req = anyRequest()
	switch {
	case r.Start != 0:
		w.req.Time = time.Unix(r.Start, 0)
	case r.End != 0:
		w.req.Time = time.Unix(r.End-1, 0)
	}
	w.avoid(e.asked)
	w.ask(&e.src)
	for i := range e.asked {
		w.satisfy(&e.asked[i], e.src.path != "", len(e.asked) > 1)
	}
	if w.barred(e.asked) {
		w.none = "its criteria leave no path"
	}
	w.location = w.expect(e)
}

// anyRequest is a request of which nothing is asked.
func anyRequest() redirect.Request {
	return redirect.Request{
		Scheme: "https", Host: anyHost, Path: anyPath, Method: get,
		Header: noHeader, Cookie: noCookie, Device: noCookie,
		ClientIP: "192.0.2.1", Continent: "AN", Country: "AQ", Region: "ZZ", Proxy: "none", Time: time.Unix(1, 0),
	}
}

// ask puts into the request what the source asks for.
func (w *witness) ask(s *source) {
	if s.path == "" {
		return
	}
	fill := func(text string) string { return text }
	if s.wildcard {
		fill = func(text string) string { return strings.ReplaceAll(text, "*", anyText) }
	}
	if s.scheme != "" {
		w.req.Scheme = s.scheme
	}
	if s.host != "" {
		w.req.Host = fill(s.host)
	}
	w.req.Path, w.req.Query = fill(s.path), fill(s.query)
	if len(s.params) > 0 {
		w.req.Query = strings.Join(s.params, "&")
	}
}

// avoid gives the request values that negated criteria allow; what is asked for replaces them later.
func (w *witness) avoid(asked []redirect.Match) {
	if !slices.ContainsFunc(asked, func(m redirect.Match) bool { return m.Negate }) {
		return
	}
	q := &w.req
	for _, part := range [...]struct {
		to     *string
		others []string
		types  []string
	}{
		{&q.Scheme, []string{"http"}, []string{typeProtocol}},
		{&q.Host, []string{"other.invalid", "0.test"}, []string{typeHostname}},
		{&q.Path, []string{"/other", "/0"}, []string{typePath}},
		{&q.Method, []string{head, "POST"}, []string{typeMethod}},
		{&q.ClientIP, []string{"198.51.100.1", "203.0.113.1"}, []string{typeClientIP, typeClientIP6}},
		{&q.Continent, []string{"NA", "EU"}, []string{typeContinent}},
		{&q.Country, []string{"US", "CH"}, []string{typeCountry}},
		{&q.Region, []string{"CA", "BY"}, []string{typeRegion}},
		{&q.Proxy, []string{"anonymous", "transparent"}, []string{typeProxy}},
	} {
		allowed := func(value string) bool {
			return !slices.ContainsFunc(asked, func(m redirect.Match) bool {
				return m.Negate && slices.Contains(part.types, m.Type) && takes(&m, value)
			})
		}
		if allowed(*part.to) {
			continue
		}
		i := slices.IndexFunc(part.others, allowed)
		if i < 0 {
			w.none = "no request was found that its criteria leave"
			return
		}
		*part.to = part.others[i]
	}
}

// barred reports whether a negated criterion takes the extension of the path.
func (w *witness) barred(asked []redirect.Match) bool {
	if len(asked) == 0 {
		return false
	}
	extension := ""
	if i := strings.LastIndexByte(w.req.Path, '.'); i > strings.LastIndexByte(w.req.Path, '/') {
		extension = w.req.Path[i+1:]
	}
	return slices.ContainsFunc(asked, func(m redirect.Match) bool {
		return m.Negate && m.Type == typeExtension && takes(&m, extension)
	})
}

// takes reports whether one of a match's values is the value, or may be: case never counts, and a proxy of any kind is one.
func takes(m *redirect.Match, value string) bool {
	wanted, wildcards := strings.Fields(m.Value), m.Operator == opContains || m.Type == typeHostname
	if m.Object != nil {
		wanted, wildcards = m.Object.Values, m.Object.ValueHasWildcard
	}
	return slices.ContainsFunc(wanted, func(text string) bool {
		if net, err := netip.ParsePrefix(text); err == nil {
			address, err := netip.ParseAddr(value)
			return err == nil && net.Contains(address)
		}
		expression := regexp.QuoteMeta(text)
		if wildcards {
			expression = strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(expression)
		}
		if m.Operator != opContains {
			expression = "^(?:" + expression + ")$"
		}
		re, err := regexp.Compile("(?i)" + expression)
		return err != nil || re.MatchString(value) || text == bothProxies && value != "none"
	})
}

// satisfy adds what one criterion asks for. Where the source has said it already, the source stays.
func (w *witness) satisfy(m *redirect.Match, asked, several bool) {
	if m.Type == typeRegex {
		w.satisfyRegex(m, several)
	}
	if m.Negate || m.Type == typeRegex {
		return
	}
	value := sample(m)
	if odd(m) {
		w.none = "no document says which requests " + shown(value) + " asks for"
		return
	}
	q := &w.req
	switch m.Type {
	case typeProtocol:
		q.Scheme = value
	case typeHostname:
		if !asked || q.Host == anyHost {
			q.Host = value
		}
	case typePath:
		if !asked {
			q.Path = "/" + strings.TrimPrefix(value, "/")
		}
	case typeExtension:
		if !asked {
			w.shaky = w.shaky || q.Path != anyPath
			q.Path += "." + value
		}
	case typeQuery:
		q.Query = strings.TrimPrefix(q.Query+"&"+value, "&")
	case typeMethod:
		q.Method = value
	default:
		w.satisfyVisitor(m, value)
	}
}

// odd reports whether no document says what a match asks for: a name with wildcards, or a parameter with an & in its value.
func odd(m *redirect.Match) bool {
	if m.Type != typeCookie && m.Type != typeHeader && m.Type != typeQuery {
		return false
	}
	name := m.Value
	if m.Object != nil {
		name = m.Object.Name
	}
	name, value, _ := strings.Cut(name, "=")
	return strings.ContainsAny(name, "*?") || m.Type == typeQuery && strings.Contains(name+value, "&")
}

// satisfyVisitor adds what is asked of the visitor.
func (w *witness) satisfyVisitor(m *redirect.Match, value string) {
	q := &w.req
	name, rest, _ := strings.Cut(value, "=")
	switch m.Type {
	case typeCookie:
		q.Cookie = with(q.Cookie, name, rest)
	case typeHeader:
		q.Header = with(q.Header, name, []string{rest})
	case "deviceCharacteristics":
		q.Device = with(q.Device, name, rest)
	case typeClientIP, typeClientIP6:
		if net, err := netip.ParsePrefix(value); err == nil {
			value = net.Addr().String()
		}
		q.ClientIP = value
	case typeContinent:
		q.Continent = value
	case typeCountry:
		q.Country = value
	case typeRegion:
		q.Region = value
	case typeProxy:
		if value == bothProxies {
			value = "anonymous"
		}
		q.Proxy = value
	}
}

// What witnesses have in common that ask for no header, cookie or device: it is known that there is none.
var (
	noHeader = map[string][]string{} //nolint:gochecknoglobals // a table that is only read
	noCookie = map[string]string{}   //nolint:gochecknoglobals // a table that is only read
)

// with is a map with one more member; the map itself stays as it is.
func with[V any](m map[string]V, name string, value V) map[string]V {
	m = maps.Clone(m)
	m[name] = value
	return m
}

// sample is a value that a match is satisfied with: the first, with something in the place of its wildcards.
func sample(m *redirect.Match) string {
	value := m.Value
	wildcards := m.Operator == opContains || m.Type == typeHostname
	if o := m.Object; o != nil {
		value = ""
		if len(o.Values) > 0 {
			value = o.Values[0]
		}
		wildcards = o.ValueHasWildcard
		if o.Name != "" {
			value = o.Name + "=" + value
		}
	} else if m.Type != typeRegex {
		value, _, _ = strings.Cut(value, " ")
	}
	if wildcards {
		value = strings.NewReplacer("*", anyText, "?", "x").Replace(value)
	}
	return value
}

// satisfyRegex looks for a URL that the expression finds something in: on the host that is asked for, if there is one.
func (w *witness) satisfyRegex(m *redirect.Match, several bool) {
	re, err := regexp.Compile(m.Value)
	if err == nil && !m.CaseSensitive {
		re, err = regexp.Compile("(?i)" + m.Value)
	}
	if err != nil {
		w.none = "its expression does not compile"
		return
	}
	text, site := example(m.Value), w.req.Scheme+"://"+w.req.Host
	if !strings.HasPrefix(text, "/") {
		site += "/"
	}
	for i, candidate := range []string{w.req.URL(), site + text, text, "https://" + text} {
		q, err := redirect.ParseURL(candidate)
		if err != nil || q.Scheme == "" || q.Host == "" || re.MatchString(q.URL()) == m.Negate {
			continue
		}
		w.shaky = w.shaky || i > 0 && several
		w.req.Scheme, w.req.Host, w.req.Path, w.req.Query = q.Scheme, q.Host, q.Path, q.Query
		return
	}
	w.none = "no URL was found that its expression matches"
}

// example is a text that an expression matches; empty when it cannot be parsed.
func example(expression string) string {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return ""
	}
	var b strings.Builder
	exampleOf(&b, re)
	return b.String()
}

func exampleOf(b *strings.Builder, re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			b.WriteRune(r)
		}
	case syntax.OpCharClass:
		b.WriteRune(oneOf(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('a')
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			exampleOf(b, sub)
		}
	case syntax.OpAlternate:
		exampleOf(b, re.Sub[0])
	case syntax.OpStar, syntax.OpPlus:
		exampleOf(b, re.Sub[0])
	case syntax.OpRepeat:
		for range max(re.Min, 1) {
			exampleOf(b, re.Sub[0])
		}
	case syntax.OpNoMatch, syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary, syntax.OpQuest: // no text is one
	}
}

// oneOf picks a character of a class: a letter or a digit where there is one.
func oneOf(ranges []rune) rune {
	for _, wanted := range []rune{'a', '0', 'A'} {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= wanted && wanted <= ranges[i+1] {
				return wanted
			}
		}
	}
	if len(ranges) == 0 {
		return 'a'
	}
	return max(ranges[0], '!')
}

// other turns the witness into another visitor, who asks for the same URL and differs in whatever the row leaves open of
// time, place, address and method. It is false where the row leaves none of that open; the location stays what it is.
func (w *witness) other(e *entry) bool {
	before := w.req
	q, r := &w.req, &e.rule
	switch {
	case r.End == 0: // on from some time, or from ever
		q.Time = time.Unix(max(r.Start, farAhead), 0)
	case r.Start == 0:
		q.Time = time.Unix(min(1, r.End-1), 0)
	}
	for _, part := range [...]struct {
		to    *string
		value string
		types []string
	}{
		{&q.Country, "US", []string{typeCountry}},
		{&q.Continent, "NA", []string{typeContinent}},
		{&q.Region, "CA", []string{typeRegion}},
		{&q.ClientIP, "198.51.100.1", []string{typeClientIP, typeClientIP6}},
		{&q.Method, head, []string{typeMethod}},
	} {
		if !slices.ContainsFunc(r.Matches, func(m redirect.Match) bool { return slices.Contains(part.types, m.Type) }) {
			*part.to = part.value
		}
	}
	return !q.Time.Equal(before.Time) || q.Country != before.Country || q.Continent != before.Continent || q.Region != before.Region ||
		q.ClientIP != before.ClientIP || q.Method != before.Method
}

// farAhead is the year 2100.
const farAhead = 4102444800

// contradictory reports whether two criteria are of one kind, so that no request may meet both.
func contradictory(asked []redirect.Match) bool {
	for i := range asked {
		for j := range i {
			if asked[i].Type == asked[j].Type {
				return true
			}
		}
	}
	return false
}
