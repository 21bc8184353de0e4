package export

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/snapshot"
)

// state is what an export remembers from round to round. It holds a few bytes per version, no document.
type state struct {
	export *Export
	filter *filter
	base   map[string]snapshot.File // version files of the base, by key

	mu         sync.Mutex
	round      int
	members    map[string]*member // what the lists of this round name, by key
	before     map[string]*member // what those of the round before named
	changes    int                // what this round found changed
	broken     bool               // a list of this round could not be read to its end
	failures   map[string]snapshot.Failure
	firstError error
	refusals   []error // policy lists that were refused or absent as a whole
	absent     map[string]string
	gone       map[string]string // by key: what was listed but is not there any more
	written    map[string][]string

	manifest             snapshot.Manifest
	fetched, kept, taken int
}

// member is a policy, an origin or a document about the account that belongs into the snapshot.
type member struct {
	name     string
	folder   string
	sheets   bool    // its versions have sheets
	versions []int64 // those that are wanted, ascending
	all      []int64 // those that are listed, ascending
	listed   bool    // the list of versions was read
	said     digest  // all that the lists said of it
}

func newState(e *Export, f *filter) *state {
	s := &state{
		export: e, filter: f, failures: map[string]snapshot.Failure{},
		absent: map[string]string{}, gone: map[string]string{}, written: map[string][]string{},
	}
	if e.Base != nil && canTake(e.Base, e.Options.Format) {
		s.base = e.Base.Versions()
	}
	return s
}

func (s *state) begin(round int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.round, s.changes, s.broken = round, 0, false
	s.before, s.members = s.members, map[string]*member{}
}

// join takes up a member that a list of this round names. It is false when it is there already: a list that grows
// while it is paged through names an element twice.
func (s *state) join(key string, m *member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.members[key] != nil {
		return false
	}
	if _, failed := s.failures[key]; failed {
		if old := s.before[key]; old != nil {
			m = old
		}
		s.members[key] = m
		return false // it failed in an earlier round; the next run tries again
	}
	s.members[key] = m
	if s.round > 1 && s.before[key] == nil {
		s.changes++
	}
	return true
}

// list notes which versions of a member there are, and which of them are wanted.
func (s *state) list(m *member, all, wanted []cloudlet.Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.listed, m.all = true, numbers(all)
	m.versions = m.all
	if len(wanted) < len(all) {
		m.versions = numbers(wanted)
	}
}

// numbers are those of versions, ascending.
func numbers(versions []cloudlet.Version) []int64 {
	list := make([]int64, 0, len(versions))
	for _, v := range versions {
		list = append(list, v.Number)
	}
	slices.Sort(list)
	return list
}

// digest is a hash of documents, one after another.
type digest [sha256.Size]byte

func digestOf(docs ...[]byte) digest {
	h := sha256.New()
	for _, doc := range docs {
		fmt.Fprintf(h, "%d\n", len(doc))
		h.Write(doc)
	}
	return digest(h.Sum(nil))
}

// unchanged notes what the lists say of a member, and reports whether they said just that when they were read the
// time before: then everything of it is there already, for an item that failed is not taken up twice.
func (s *state) unchanged(key string, m *member, docs ...[]byte) bool {
	m.said = digestOf(docs...)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.before[key]
	if old == nil || old.said != m.said {
		return false
	}
	m.versions, m.all, m.listed = old.versions, old.all, old.listed
	return true
}

// wants reports whether a version of the member is wanted.
func (m *member) wants(version int64) bool {
	_, found := slices.BinarySearch(m.versions, version)
	return found
}

// leave notes that a member or a version that a list named is not there any more. A second time it is not believed,
// for then a list still names it.
func (s *state) leave(key, name string) (believed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.gone[key]; again {
		return false
	}
	s.gone[key] = name
	s.changes++
	policy, version := splitKey(key)
	switch m := s.members[policy]; {
	case version == 0:
		delete(s.members, key)
	case m != nil:
		m.said = digest{} // if the list names it once more, it is looked at once more
		m.versions = slices.DeleteFunc(slices.Clone(m.versions), func(n int64) bool { return n == version })
	}
	return true
}

func (s *state) change() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
}

// settleRound ends a round: what was listed before and is not any more is gone. It reports whether the lists said what
// they said the time before; never so after the first time.
func (s *state) settleRound() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, old := range s.before {
		m := s.members[key]
		if _, failed := s.failures[key]; failed { // it could not be read again: what there is of it stays
			s.members[key] = old
			continue
		}
		switch {
		case m == nil && s.broken:
			s.members[key] = old
		case m == nil:
			s.gone[key] = old.name
			s.changes++
		default:
			s.lost(key, m, old)
		}
	}
	return s.round > 1 && s.changes == 0 && !s.broken
}

// lost notes the versions that a member had and has not any more. The caller holds mu.
func (s *state) lost(key string, m, old *member) {
	for _, n := range old.versions {
		if _, found := slices.BinarySearch(m.all, n); !found && s.gone[versionKey(key, n)] == "" {
			s.gone[versionKey(key, n)] = versionName(m.name, n)
			s.changes++
		}
	}
}

// live reports whether the record of key belongs into the snapshot.
func (s *state) live(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holds(key)
}

// holds is live for a caller that holds mu. Of a member whose versions could not be listed, everything stays that an
// earlier run has read.
func (s *state) holds(key string) bool {
	policy, version := splitKey(key)
	m := s.members[policy]
	return m != nil && (version == 0 || !m.listed || m.wants(version))
}

func (s *state) observe(e job.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Kind == job.Finished {
		delete(s.failures, e.Key) // a list that broke off was read whole later
	}
	if e.Kind != job.Failed {
		return
	}
	if s.firstError == nil {
		s.firstError = e.Err
	}
	f := snapshot.Failure{Item: e.Key, Error: e.Err.Error()}
	policy, version := splitKey(e.Key)
	if m := s.members[policy]; m != nil {
		f.Item = m.name
		if version != 0 {
			f.Item = versionName(m.name, version)
		}
	}
	if api := (*cloudlet.APIError)(nil); errors.As(e.Err, &api) {
		f.Request = api.Path
	}
	if strings.HasPrefix(e.Key, listPart) {
		s.broken = true
	}
	s.failures[e.Key] = f
}

func (s *state) didFail(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, failed := s.failures[key]
	return failed
}

func (s *state) miss(what string, err error, refusal bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.absent[what] = err.Error()
	if refusal && s.round == 1 {
		s.refusals = append(s.refusals, err)
	}
}

// wrote notes the paths of an item's files until its record is committed.
func (s *state) wrote(key, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written[key] = append(s.written[key], path)
}

func (s *state) unsynced(done []job.Record) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var paths []string
	for _, rec := range done {
		paths = append(paths, s.written[rec.Key]...)
		delete(s.written, rec.Key)
	}
	return paths
}

func (s *state) absences() []snapshot.Absent {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]snapshot.Absent, 0, len(s.absent))
	for _, what := range slices.Sorted(maps.Keys(s.absent)) {
		list = append(list, snapshot.Absent{What: what, Reason: s.absent[what]})
	}
	return list
}

func (s *state) goneNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := []string{}
	for key, name := range s.gone {
		if !s.holds(key) { // it may have come back
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (s *state) failed() []snapshot.Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]snapshot.Failure, 0, len(s.failures))
	for _, key := range slices.Sorted(maps.Keys(s.failures)) {
		list = append(list, s.failures[key])
	}
	return list
}

func (s *state) incomplete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.failures) > 0
}

func (s *state) result() Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.manifest
	if m.Failed == nil {
		for _, key := range slices.Sorted(maps.Keys(s.failures)) {
			m.Failed = append(m.Failed, s.failures[key])
		}
	}
	return Result{Manifest: m, Rounds: s.round, Fetched: s.fetched, Kept: s.kept, Taken: s.taken}
}

func (s *state) counted(n *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
}

const versionsPart = "/versions/"

func versionKey(policy string, n int64) string {
	return policy + versionsPart + strconv.FormatInt(n, 10)
}

func versionName(policy string, n int64) string { return fmt.Sprintf("%s version %d", policy, n) }

// splitKey gives the key of the policy, or origin, and the number of the version; 0 where the key is not a version's.
func splitKey(key string) (policy string, version int64) {
	at := strings.LastIndex(key, versionsPart)
	if at < 0 {
		return key, 0
	}
	version, _ = strconv.ParseInt(key[at+len(versionsPart):], 10, 64) // versionKey has made it
	return key[:at], version
}
