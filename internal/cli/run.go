package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/checkpoint"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/export"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
	"cloudletmig/internal/snapshot"
)

// run is a run in the journal.
type run struct {
	a       *app
	db      *checkpoint.DB
	journal *checkpoint.Run
	resumed bool
	// again says that the journal knew an unfinished run of this target, resumed or given up for --fresh.
	again bool
	// changes says that the account may be changed by now: whatever happens, there is something to go on with.
	changes bool
	target  string
	begun   time.Time // by this process
	since   time.Time // by the first process that worked on the run
}

// checkpointFor is the journal of a run that works on target.
func (a *app) checkpointFor(target string) string {
	if a.global.Checkpoint != "" {
		return a.global.Checkpoint
	}
	if absolute, err := filepath.Abs(target); err == nil {
		target = absolute // the name of "." is not to be seen from it
	}
	return filepath.Clean(target) + ".checkpoint.db"
}

// beginRun opens the journal and begins a run in it, or goes on with the unfinished one of the same command.
func (a *app) beginRun(ctx context.Context, kind, target, file string, options any, creds akamai.Credentials) (*run, error) {
	absolute, err := filepath.Abs(target)
	if err != nil {
		return nil, err
	}
	return a.beginOn(ctx, kind, absolute, file, options, creds)
}

// beginOn is beginRun for a target that is no folder.
func (a *app) beginOn(ctx context.Context, kind, target, file string, options any, creds akamai.Credentials) (*run, error) {
	if a.target != "" && a.target != target {
		return nil, &usageError{text: "the run works on " + a.target + ", which its command line does not name from here", hint: "resume it in the folder where it was begun"}
	}
	args := storable(a.args)
	db, err := checkpoint.Open(ctx, file, checkpoint.Options{Command: "cloudletmig " + strings.Join(args, " ")})
	if err != nil {
		return nil, unwritable(err)
	}
	r := &run{a: a, db: db, target: target, begun: time.Now()}
	known, err := db.Runs(ctx)
	for _, info := range known {
		r.again = r.again || info.Kind == kind && info.Target == target && info.Unfinished()
	}
	if err == nil {
		r.journal, r.resumed, err = db.Begin(ctx, checkpoint.RunInfo{
			Kind: kind, Args: args, Target: target, Options: canonical(options), Fingerprint: fingerprint(creds), Fresh: a.global.Fresh,
		})
	}
	if err != nil {
		return nil, errors.Join(err, db.Close()) //nolint:contextcheck // a journal is closed also when ctx has ended
	}
	r.since = r.begun
	if info, err := db.Run(ctx, r.journal.ID()); err == nil {
		r.since = info.Started
	}
	if r.resumed {
		a.log.Info("going on with the unfinished run", "run", r.journal.ID())
	}
	return r, nil
}

// absolute is the whole path of a folder, by which its runs are known.
func absolute(dir string) string {
	if whole, err := filepath.Abs(dir); err == nil {
		return whole
	}
	return dir
}

// unwritable says of an error that a place cannot be written, if that is what it is, what to do instead.
func unwritable(err error) error {
	for _, reason := range []error{fs.ErrPermission, fs.ErrNotExist, syscall.ENOTDIR, syscall.EROFS} {
		if errors.Is(err, reason) {
			return &usageError{text: err.Error(), hint: "name a folder that can be written; --checkpoint FILE puts the journal elsewhere"}
		}
	}
	return err
}

// fingerprint tells the accounts of runs apart.
func fingerprint(creds akamai.Credentials) string {
	sum := sha256.Sum256([]byte(creds.Host + "\n" + accountHash(creds)))
	return hex.EncodeToString(sum[:8])
}

// storable leaves out of a command line what the journal is not to keep: the account switch key, and --fresh, which
// would start a run again that is to go on.
func storable(args []string) []string {
	kept := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		switch name, _, joined := strings.Cut(args[i], "="); {
		case name == "--fresh":
		case name != "--account-key" && name != "--accountkey":
			kept = append(kept, args[i])
		case !joined:
			i++ // its value
		}
	}
	return kept
}

// checkTarget refuses a folder that an export must not touch, as far as can be seen without the journal. Where the
// folder holds a complete snapshot it gives the manifest.
func (a *app) checkTarget(dir, journal string) (*snapshot.Manifest, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, &usageError{text: err.Error()}
	case !info.IsDir():
		return nil, &usageError{text: dir + " is a file, not a folder"}
	}
	_, noJournal := os.Stat(journal)
	if s, err := snapshot.Open(dir); err == nil {
		defer s.Close()
		if s.Manifest.Complete && noJournal != nil {
			return nil, completeAlready(dir)
		}
		if s.Manifest.Complete {
			return &s.Manifest, nil
		}
	}
	if noJournal != nil {
		return nil, refuseFull(dir)
	}
	return nil, nil
}

func completeAlready(dir string) error {
	return &usageError{
		text: dir + " holds a complete snapshot already",
		hint: "name a new folder; with --base " + dir + " only what has changed is fetched",
	}
}

// settle ends a run that was killed after its snapshot had become complete and before the journal said so. A complete
// snapshot of any other run is not touched.
func (a *app) settle(ctx context.Context, dir string, m snapshot.Manifest, options any, creds akamai.Credentials) error {
	db, err := checkpoint.Open(ctx, a.checkpointFor(dir), checkpoint.Options{Command: "cloudletmig " + strings.Join(storable(a.args), " ")})
	if err != nil {
		return err
	}
	info, err := db.Run(ctx, m.Run)
	if err := db.Close(); err != nil { //nolint:contextcheck // closed also when ctx has ended
		return err
	}
	if m.Run == "" || err != nil || !info.Unfinished() {
		return completeAlready(dir)
	}
	a.global.Fresh = false
	r, err := a.beginRun(ctx, info.Kind, dir, a.checkpointFor(dir), options, creds)
	if err != nil {
		return err
	}
	result := export.Result{Manifest: m}
	a.document = exportDocument(dir, result, akamai.Stats{})
	a.log.Info("the snapshot was complete already; only the journal did not know")
	return a.exportSummary(dir, result, akamai.Stats{}, r.begun, r.end(ctx, nil, a.document))
}

func refuseFull(dir string) error {
	first, err := snapshot.Contents(dir)
	if err != nil {
		return &usageError{text: err.Error()}
	}
	if first != "" {
		return &usageError{
			text: fmt.Sprintf("%s is not empty (%s), and no unfinished export of it is known", dir, cloudlet.Printable(first)),
			hint: "name a new or empty folder; if an export of it was begun with another --checkpoint, name that one",
		}
	}
	return nil
}

// claim makes sure that what is in dir comes from the run that is resumed; what an abandoned run left is removed.
func (r *run) claim(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) || r.resumed {
		return nil
	}
	if !r.again {
		return refuseFull(dir)
	}
	folder, err := durable.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(snapshot.Clear(folder), folder.Close())
}

// end records how the run ended, lets go of the journal, and gives the error back with what to do next.
func (r *run) end(ctx context.Context, err error, facts any) error {
	ctx = context.WithoutCancel(ctx)
	state := checkpoint.Failed
	hint := ""
	_, planLeaves := errors.AsType[leavingError](err)
	switch {
	case err == nil, planLeaves && !unfinishedIn(err): // what the plan left out is for a plan of its own
		state = checkpoint.Complete
	case exitOf(err) == exitUsage && !r.resumed && !r.changes: // there is nothing to go on with
		state = checkpoint.Abandoned
	case errors.Is(err, context.Canceled):
		state, hint = checkpoint.Interrupted, r.howToResume()
		err = interrupted{err}
	case errors.Is(err, job.ErrIncomplete), errors.Is(err, job.ErrPending), errors.Is(err, once.ErrConflict):
		state, hint = checkpoint.Incomplete, "the same command again does only what is left"
		if hinted, ok := errors.AsType[hinter](err); ok && hinted.Hint() != "" {
			hint = "" // it has a better one
		}
	case errors.Is(err, syscall.ENOSPC):
		hint = "free some space, then " + r.howToResume()
	}
	summary, jsonErr := json.Marshal(facts)
	_, pruneErr := r.db.Prune(ctx, keptRuns)
	endErr := r.journal.End(ctx, r.state(ctx, state), exitOf(err), summary)
	closeErr := r.db.Close() //nolint:contextcheck // a journal is closed also when ctx has ended
	// The reason why the run ended comes first; a full disk is said once.
	for _, also := range []error{jsonErr, endErr, pruneErr, closeErr} {
		if also != nil && (!errors.Is(err, syscall.ENOSPC) || !errors.Is(also, syscall.ENOSPC)) {
			err = errors.Join(err, also)
		}
	}
	return withHint(err, hint)
}

// state is how a run ended. One that failed before it got anything done leaves nothing to go on with.
func (r *run) state(ctx context.Context, state string) string {
	if state != checkpoint.Failed {
		return state
	}
	info, err := r.db.Run(ctx, r.journal.ID())
	if first, _ := snapshot.Contents(r.target); err != nil || info.Done > 0 || first != "" {
		return state
	}
	return checkpoint.Abandoned
}

// keptRuns is how many complete runs the journal keeps the items of.
const keptRuns = 20

func (r *run) howToResume() string {
	return "go on with the same command, or with: cloudletmig resume " + r.journal.ID() + " --checkpoint " + r.db.Path()
}

// interrupted is what the user reads when a signal ended a run.
type interrupted struct{ error }

func (interrupted) Error() string   { return "interrupted: everything that was finished is recorded" }
func (e interrupted) Unwrap() error { return e.error }

// unreadable says why the snapshot that flag names cannot be read.
func unreadable(flag, dir string, err error) error {
	switch {
	case errors.Is(err, snapshot.ErrDamaged):
		return withHint(fmt.Errorf("%s: %w", flag, err), "cloudletmig verify "+dir+" names all that is wrong with it")
	case errors.Is(err, snapshot.ErrNoManifest):
		return &usageError{text: flag + ": " + err.Error(), hint: "name the folder of a finished snapshot; an export that was interrupted is finished by the same command"}
	}
	hint := "name the folder of a snapshot"
	if errors.Is(err, snapshot.ErrNewer) {
		hint = "use a newer version of cloudletmig"
	}
	return &usageError{text: flag + ": " + err.Error(), hint: hint}
}

// hinter is an error that knows what to do next.
type hinter interface {
	error
	Hint() string
}

// hintedError is an error with what to do next.
type hintedError struct {
	error
	hint string
}

func (e *hintedError) Unwrap() error { return e.error }
func (e *hintedError) Hint() string  { return e.hint }

func withHint(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return &hintedError{err, hint}
}
