// Package export reads the policies of an account into a snapshot: every list, every version, every activation
// history, whole. It is one pool of requests from beginning to end: what a list names is fetched while the list goes on.
package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/snapshot"
)

// Source reads an account. Documents come byte for byte as sent and are valid JSON. An error about an answer is a
// *cloudlet.APIError. Safe for concurrent use.
type Source interface {
	// Get reads a whole resource: a document, or all pages of a list as one array.
	Get(ctx context.Context, r cloudlet.Resource) ([]byte, error)
	// Page reads one page of a list: the first when next is empty.
	Page(ctx context.Context, r cloudlet.Resource, next string) (cloudlet.Page, error)
	// Recycle takes back the memory of a document that Get gave.
	Recycle(doc []byte)
}

// Store takes what was read. Safe for concurrent use.
type Store interface {
	Put(f, earlier snapshot.File, doc []byte) (stored snapshot.File, changed bool, err error)
	PutSheet(f snapshot.File, sheet []byte) (stored snapshot.File, err error)
	Holds(f snapshot.File) bool
	Sync(paths ...string) error
	Finish(m snapshot.Manifest, items iter.Seq2[snapshot.Item, error]) (snapshot.Manifest, error)
}

// Which versions of a policy are exported.
const (
	AllVersions    = "all"
	ActiveVersions = "active" // effective or pending on a network
	LatestVersion  = "latest"
)

// How documents are written.
const (
	Pretty = "pretty" // two-space indent
	Raw    = "raw"    // byte for byte as sent
)

// Options decide what is exported. The zero value of each but Versions and APIs leaves nothing out.
type Options struct {
	APIs     []cloudlet.API `json:"api"`
	Types    []string       `json:"type,omitempty"`
	Policies []string       `json:"policy,omitempty"` // ids or globs over names, each with v2: or v3: in front or not
	Groups   []int64        `json:"group,omitempty"`
	Versions string         `json:"versions"`
	Deleted  bool           `json:"include_deleted,omitempty"`
	Format   string         `json:"format"` // how the store writes; part of what makes two exports the same
	CSV      bool           `json:"csv,omitempty"`
}

// relists is how often the lists are read again at the end until they say what they said before.
const relists = 3

// ErrNoMatch is what a run ends with when nothing in the account is what was asked for by name.
var ErrNoMatch = errors.New("nothing matches")

// Export is one export of one account.
type Export struct {
	Source  Source
	Store   Store
	Base    *snapshot.Snapshot // an earlier snapshot to take unchanged versions from; nil: none
	Pool    job.Pool           // its Flush and Watch are set by Run; Watch is called as well when given
	Options Options
	// Sheet turns the document of an Edge Redirector version into a CSV sheet, and names what a sheet cannot say of it. It
	// is called when Options.CSV is set, by Pool.Writers at a time; where it is nil, no sheets are made all the same.
	Sheet   func(doc []byte) (sheet []byte, lost []string, err error)
	MayMiss bool // it is no error when nothing is what Options name
	Log     *slog.Logger
	Now     func() time.Time
}

// Result is what an export did, beside the manifest that it wrote.
type Result struct {
	Manifest snapshot.Manifest
	Rounds   int // how often the lists were read
	Fetched  int // versions read from the API
	Kept     int // versions that an earlier run of this export had read already
	Taken    int // versions taken over from the base
}

// Run exports the account and finishes the store with a manifest that begins as head. Items that fail are named in the
// manifest, and the error is job.ErrIncomplete; when nothing could be exported at all it is the first item's own error.
// When ctx ends or the disk fails there is no manifest, and the same call with the same journal goes on.
func (e *Export) Run(ctx context.Context, head snapshot.Manifest) (Result, error) {
	filter, err := newFilter(e.Options)
	if err != nil {
		return Result{}, err
	}
	s := newState(e, filter)
	for round := 1; round <= 1+relists; round++ {
		err := s.run(ctx, round)
		if err != nil && !errors.Is(err, job.ErrIncomplete) {
			return s.result(), err
		}
		if round == 1 {
			if err := s.nothing(); err != nil {
				return s.result(), err
			}
		}
		head.Consistent = s.settleRound()
		if head.Consistent && round > 1 {
			break
		}
	}
	e.Log.Debug("writing the index and the manifest")
	if head.Options, err = json.Marshal(e.Options); err != nil {
		return s.result(), err
	}
	incomplete := s.incomplete()
	head.Ended, head.Complete = e.Now().UTC(), !incomplete
	head.Absent, head.Gone, head.Failed = s.absences(), s.goneNames(), s.failed()
	s.manifest, err = e.Store.Finish(head, s.items(ctx))
	if err == nil && incomplete {
		err = job.ErrIncomplete
	}
	return s.result(), err
}

// run reads the lists once and fetches whatever they name that is not there yet.
func (s *state) run(ctx context.Context, round int) error {
	if round > 1 {
		s.export.Log.Debug("reading the lists again", "round", round)
	}
	s.begin(round)
	pool := s.export.Pool
	watch := pool.Watch
	pool.Watch = func(e job.Event) {
		s.observe(e)
		if watch != nil {
			watch(e)
		}
	}
	pool.Flush = func(_ context.Context, done []job.Record) error { return s.export.Store.Sync(s.unsynced(done)...) }
	return pool.Run(ctx, s.roots()...)
}

// nothing gives the reason to end a run after the first round: nothing was found at all, or nothing of what was named.
func (s *state) nothing() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.members) == 0 && s.firstError != nil && len(s.absent) == 0 {
		return s.firstError
	}
	if n := len(s.refusals); n > 0 && n == len(s.export.Options.APIs) { // whatever else could be read
		return s.refusals[0]
	}
	if s.firstError != nil {
		return nil // a list may have broken off before it came to what was asked for
	}
	if missed := s.filter.missed(); missed != "" && !s.export.MayMiss {
		return fmt.Errorf("%w %s", ErrNoMatch, missed)
	}
	for _, code := range s.export.Options.Types {
		if !s.filter.typesSeen[code] {
			s.absent["policies of type "+code] = "the account has none"
		}
	}
	return nil
}

// items are the journal's records of what was in the lists when they were last read, by key: a policy before its
// versions.
func (s *state) items(ctx context.Context) iter.Seq2[snapshot.Item, error] {
	return func(yield func(snapshot.Item, error) bool) {
		for rec, err := range s.export.Pool.Journal.All(ctx, "") {
			if err != nil {
				yield(snapshot.Item{}, err)
				return
			}
			if rec.State != job.Done || !s.live(rec.Key) {
				continue
			}
			r, err := decode(rec)
			if !yield(snapshot.Item{Row: r.Row, Files: r.Files, Lossy: r.Lossy}, err) || err != nil {
				return
			}
		}
	}
}

// record is what the journal holds of an item that is done.
type record struct {
	Files []snapshot.File `json:"files,omitempty"`
	Row   *snapshot.Row   `json:"row,omitempty"`
	Lossy *snapshot.Lossy `json:"lossy,omitempty"` // of a version whose sheet lacks something, or that has none
}

func decode(rec job.Record) (record, error) {
	var r record
	if len(rec.Data) == 0 {
		return r, nil
	}
	if err := json.Unmarshal(rec.Data, &r); err != nil {
		return r, fmt.Errorf("read the journal's record of %s: %w", rec.Key, err)
	}
	return r, nil
}

// file gives the record's file at path; the zero File when there is none.
func (r record) file(path string) snapshot.File {
	for _, f := range r.Files {
		if f.Path == path {
			return f
		}
	}
	return snapshot.File{}
}
