package redirect

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
)

// maxKeys is how many keys one rule may have before it is found by its paths alone.
const maxKeys = 64

// What stands in a key for a host or a query that a rule does not ask for, and for a host that is not known.
const (
	anyHost   = 0x9e3779b97f4a7c15
	blindHost = 0xc2b2ae3d27d4eb4f
	anyQuery  = 0x165667b19e3779f9
	wholeMark = 0x27d4eb2f165667c5
)

// index finds the rules that may apply to a request: all that do, and few others. Its keys are in lower case, so that
// they cover every way in which a rule may compare.
//
// A rule that can match only literal paths is found by host, path and query: the host that it asks for or none, each of
// its paths, and one parameter whose value it pins, or the whole query of its matchURL, or none. Any other rule is found
// by host and by the part of its path before the first star, cut behind a slash; where it has neither, it is always
// looked at.
type index struct {
	seed     maphash.Seed
	literals table    // of ids
	prefixes table    // of places in the list of kept rules
	always   []uint32 // places in the list of kept rules

	// What the rules ask for at all.
	hosts, params, wholeQueries bool

	// blind serves requests whose host is not known; it is made for the first of them.
	blind   atomic.Pointer[blindTables]
	blindMu sync.Mutex
}

type blindTables struct{ literals, prefixes table }

func (x *index) hash(text string) uint64 {
	var room [128]byte
	return maphash.Bytes(x.seed, appendLower(room[:0], text))
}

// appendLower appends a text with A-Z in lower case, eight bytes at a time: every request goes through it several times.
func appendLower(dst []byte, text string) []byte {
	at := len(dst)
	dst = append(dst, text...)
	own := dst[at:]
	for ; len(own) >= 8; own = own[8:] {
		binary.LittleEndian.PutUint64(own, lowerEight(binary.LittleEndian.Uint64(own)))
	}
	for i, c := range own {
		own[i] = lower(c)
	}
	return dst
}

// lowerEight is lower of eight bytes at once. Of each byte without its highest bit, adding moves into that bit whether it
// is at least A, and whether it is above Z.
func lowerEight(x uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	low := x &^ uint64(high)
	upper := (low + ones*(0x80-'A')) &^ (low + ones*(0x7f-'Z')) & high &^ x
	return x | upper>>2
}

func combine(host, path, query uint64) uint32 {
	high, low := bits.Mul64(host^0xa0761d6478bd642f, path^0xe7037ed1a0b428db)
	high, low = bits.Mul64(high^low^query, 0x8ebc6af09c88c6e3)
	return uint32(high ^ low)
}

// addLiteral puts a rule with literal paths into the index.
func (x *index) addLiteral(id uint32, r *Rule, paths []string) {
	x.blind.Store(nil)
	hosts, _ := r.Hosts()
	query := x.bestQuery(r, hosts, paths)
	if max(len(hosts), 1)*len(paths)*len(query) > maxKeys {
		hosts, query = nil, []uint64{anyQuery}
	} else {
		x.noteQuery(query)
	}
	for _, path := range paths {
		h := x.hash(path)
		for _, q := range query {
			x.addHosts(&x.literals, hosts, h, q, id)
		}
	}
}

func (x *index) addHosts(t *table, hosts []string, path, query uint64, value uint32) {
	if len(hosts) == 0 {
		t.add(combine(anyHost, path, query), value, 0)
		return
	}
	x.hosts = true
	for _, host := range hosts {
		t.add(combine(x.hash(host), path, query), value, blindTag(path, query))
	}
}

func blindTag(path, query uint64) uint32 { return max(combine(blindHost, path, query), 1) }

// bestQuery is the query part of a rule's keys. Of several parameters it takes the one that fewest rules before it
// share, so that /p?lang=en&id=N is found by its id.
func (x *index) bestQuery(r *Rule, hosts, paths []string) []uint64 {
	if u := splitURL(r.MatchURL); u.hasQuery && strings.IndexByte(r.MatchURL, '*') < 0 {
		x.wholeQueries = true
		return []uint64{x.hash(u.query) ^ wholeMark}
	}
	parameters := r.parameters()
	if len(parameters) == 0 || len(paths) == 0 {
		return []uint64{anyQuery}
	}
	host, path := uint64(anyHost), x.hash(paths[0])
	if len(hosts) > 0 {
		host = x.hash(hosts[0])
	}
	var best []uint64
	fewest := math.MaxInt
	for _, p := range parameters {
		var keys []uint64
		sharers := 0
		var room [8]uint32
		for _, value := range p.values {
			keys = append(keys, x.hash(p.name+"="+value))
			sharers = max(sharers, len(x.literals.find(room[:0], combine(host, path, keys[len(keys)-1]), len(room))))
		}
		if sharers < fewest {
			best, fewest = keys, sharers
		}
	}
	return best
}

func (x *index) noteQuery(query []uint64) {
	if query[0] != anyQuery {
		x.params = true
	}
}

// addKept puts any other rule into the index; at is its place in the list of kept rules.
func (x *index) addKept(at uint32, r *Rule) {
	x.blind.Store(nil)
	hosts, _ := r.Hosts()
	if len(hosts) > maxKeys {
		hosts = nil
	}
	prefix := r.prefix()
	if len(hosts) == 0 && prefix == "/" {
		x.always = append(x.always, at)
		return
	}
	x.addHosts(&x.prefixes, hosts, x.hash(prefix), anyQuery, at)
}

// prefix is what every path begins with that the rule can match, up to a slash, case apart.
func (r *Rule) prefix() string {
	path := "/"
	if paths, ok := r.Literals(); ok && len(paths) == 1 {
		path = paths[0]
	} else if r.MatchURL != "" {
		path, _, _ = strings.Cut(splitMatchURL(r.MatchURL).path, "*")
	}
	if path = path[:strings.LastIndexByte(path, '/')+1]; path == "" {
		return "/"
	}
	return path
}

// candidates appends the literal rules that may apply to a request, by id, and the kept ones, by place, but for those
// that are always looked at. A rule may come twice.
func (x *index) candidates(q *Request, ids, places []uint32) (literal, kept []uint32) {
	var blind *blindTables
	host := uint64(anyHost)
	if x.hosts && q.Host != "" {
		host = x.hash(q.Host)
	} else if x.hosts {
		blind = x.blindTables()
	}
	var room [256]byte
	path := appendLower(room[:0], q.Path)
	if !x.literals.empty() {
		ids = x.lookup(ids, q, host, maphash.Bytes(x.seed, path), blind)
	}
	if x.prefixes.empty() {
		return ids, places
	}
	for i, c := range path {
		if c != '/' {
			continue
		}
		h := maphash.Bytes(x.seed, path[:i+1])
		places = x.prefixes.find(places, combine(anyHost, h, anyQuery), math.MaxInt)
		if host != anyHost {
			places = x.prefixes.find(places, combine(host, h, anyQuery), math.MaxInt)
		}
		if blind != nil {
			places = blind.prefixes.find(places, blindTag(h, anyQuery), math.MaxInt)
		}
	}
	return ids, places
}

// lookup tries every query part that a key may have.
func (x *index) lookup(ids []uint32, q *Request, host, path uint64, blind *blindTables) []uint32 {
	try := func(query uint64) {
		ids = x.literals.find(ids, combine(anyHost, path, query), math.MaxInt)
		if host != anyHost {
			ids = x.literals.find(ids, combine(host, path, query), math.MaxInt)
		}
		if blind != nil {
			ids = blind.literals.find(ids, blindTag(path, query), math.MaxInt)
		}
	}
	try(anyQuery)
	if x.wholeQueries {
		try(x.hash(q.Query) ^ wholeMark)
	}
	if !x.params {
		return ids
	}
	for param := range strings.SplitSeq(q.Query, "&") {
		if param == "" {
			continue
		}
		if strings.IndexByte(param, '=') < 0 {
			param += "="
		}
		try(x.hash(param))
	}
	return ids
}

func (x *index) blindTables() *blindTables {
	if b := x.blind.Load(); b != nil {
		return b
	}
	x.blindMu.Lock()
	defer x.blindMu.Unlock()
	if b := x.blind.Load(); b != nil {
		return b
	}
	b := &blindTables{literals: x.literals.blinded(), prefixes: x.prefixes.blinded()}
	x.blind.Store(b)
	return b
}
