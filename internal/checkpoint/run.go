package checkpoint

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The states of a run.
const (
	Running     = "running"
	Interrupted = "interrupted" // stopped or killed before its end
	Failed      = "failed"      // ended by an error of the run itself
	Incomplete  = "incomplete"  // ended, but some items failed
	Complete    = "complete"
	Abandoned   = "abandoned" // unfinished, with nothing to go on with: started again with Fresh, undone, or ended before it did anything
)

// RunInfo describes a run.
type RunInfo struct {
	ID   string // 8 hexadecimal digits, given by Begin
	Kind string // the command: export, import, ...
	Args []string
	// Target is what the run works on: the folder or the input.
	Target string
	// Options is the canonical text of what decides the work. A run is only resumed with the same.
	Options string
	// Fingerprint is a hash of host and account. A run is only resumed with the same.
	Fingerprint string
	// Fresh asks Begin to abandon an unfinished run instead of resuming it. It is not stored.
	Fresh bool

	State          string
	Started, Ended time.Time // UTC; Ended is zero while the run is unfinished or when it was killed
	Exit           int
	Summary        json.RawMessage
	// Items, Done and Failed count the records: all, those done without an error, those with an error.
	Items, Done, Failed int
}

// Unfinished says whether the run can be resumed.
func (i RunInfo) Unfinished() bool { return i.State != Complete && i.State != Abandoned }

// Begin starts a run, or resumes the unfinished one of the same kind and target. When options or fingerprint of that
// one differ it fails with a ChangedError, unless info.Fresh asks to abandon it.
func (db *DB) Begin(ctx context.Context, info RunInfo) (run *Run, resumed bool, err error) {
	err = inTx(ctx, db.sql, func(tx *sql.Tx) error {
		row, found, err := unfinished(ctx, tx, info)
		switch {
		case err != nil:
			return err
		case found && row.State == Running:
			return fmt.Errorf("run %s of %s %s is under way already", row.ID, info.Kind, info.Target)
		case found && !info.Fresh:
			run, resumed, err = db.resume(ctx, tx, row, info)
			return err
		case found:
			row.State = Abandoned
			if err := row.store(ctx, tx); err != nil {
				return err
			}
		}
		run, err = db.start(ctx, tx, info)
		return err
	})
	if err != nil {
		return nil, false, db.using(ctx, "write", err)
	}
	return run, resumed, nil
}

// Unfinished gives the run that Begin would resume, and whether there is one. Like Begin it fails with a ChangedError when
// options or fingerprint of that one differ.
func (db *DB) Unfinished(ctx context.Context, info RunInfo) (run RunInfo, found bool, err error) {
	err = inTx(ctx, db.sql, func(tx *sql.Tx) error {
		row, there, err := unfinished(ctx, tx, info)
		if err != nil || !there {
			return err
		}
		if row.Options != info.Options || row.Fingerprint != info.Fingerprint {
			return db.changed(&row.RunInfo, &info)
		}
		run, found = row.RunInfo, true
		return nil
	})
	if err != nil {
		return RunInfo{}, false, db.using(ctx, "read", err)
	}
	return run, found, nil
}

func unfinished(ctx context.Context, tx *sql.Tx, info RunInfo) (*runRow, bool, error) {
	rows, err := queryRuns(ctx, tx, "WHERE kind = ? AND target = ? AND state NOT IN ('complete', 'abandoned') ORDER BY seq DESC LIMIT 1",
		info.Kind, info.Target)
	if err != nil || len(rows) == 0 {
		return nil, false, err
	}
	return rows[0], true, nil
}

func (db *DB) resume(ctx context.Context, tx *sql.Tx, row *runRow, now RunInfo) (*Run, bool, error) {
	if row.Options != now.Options || row.Fingerprint != now.Fingerprint {
		return nil, false, db.changed(&row.RunInfo, &now)
	}
	row.State, row.Exit, row.Ended, row.Summary = Running, 0, time.Time{}, nil
	if err := row.store(ctx, tx); err != nil {
		return nil, false, err
	}
	return &Run{db: db, seq: row.seq, id: row.ID}, true, nil
}

func (db *DB) start(ctx context.Context, tx *sql.Tx, info RunInfo) (*Run, error) {
	row := &runRow{RunInfo: info}
	row.State, row.Started, row.Ended, row.Exit, row.Summary = Running, db.now(), time.Time{}, 0, nil
	row.Items, row.Done, row.Failed = 0, 0, 0
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) + 1 FROM run").Scan(&row.seq); err != nil {
		return nil, err
	}
	for taken := true; taken; {
		var id [4]byte
		_, _ = rand.Read(id[:]) // never fails
		row.ID = hex.EncodeToString(id[:])
		if err := tx.QueryRowContext(ctx, "SELECT count(*) > 0 FROM run WHERE id = ?", row.ID).Scan(&taken); err != nil {
			return nil, err
		}
	}
	if err := row.store(ctx, tx); err != nil {
		return nil, err
	}
	return &Run{db: db, seq: row.seq, id: row.ID}, nil
}

// End records how the run ended: a state other than running, its exit code and a summary. It waits for the Puts that
// were handed over before.
func (r *Run) End(ctx context.Context, state string, exit int, summary json.RawMessage) error {
	if state == Running {
		return fmt.Errorf("end run %s: a run does not end in state %s", r.id, state)
	}
	err := inTx(ctx, r.db.sql, func(tx *sql.Tx) error {
		rows, err := queryRuns(ctx, tx, "WHERE seq = ?", r.seq)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return r.db.damaged("run " + r.id + " has gone")
		}
		row := rows[0]
		row.State, row.Exit, row.Summary, row.Ended = state, exit, summary, r.db.now()
		if err := row.count(ctx, tx); err != nil {
			return err
		}
		return row.store(ctx, tx)
	})
	if err != nil {
		return r.db.using(ctx, "write", err)
	}
	return nil
}

// Abandon ends an unfinished run for good: it has nothing to go on with. One that has ended stays as it is.
func (db *DB) Abandon(ctx context.Context, id string) error {
	err := inTx(ctx, db.sql, func(tx *sql.Tx) error {
		rows, err := queryRuns(ctx, tx, "WHERE id = ?", id)
		switch {
		case err != nil:
			return err
		case len(rows) == 0:
			return fmt.Errorf("find run %q in %s: %w", id, db.path, ErrNoRun)
		case rows[0].State == Running:
			return fmt.Errorf("run %s is under way", id)
		case !rows[0].Unfinished():
			return nil
		}
		rows[0].State = Abandoned
		return rows[0].store(ctx, tx)
	})
	if err != nil {
		return db.using(ctx, "write", err)
	}
	return nil
}

// interruptStale marks the runs of a killed process: nobody else can be running them, the lock is ours.
func (db *DB) interruptStale(ctx context.Context) error {
	return inTx(ctx, db.sql, func(tx *sql.Tx) error {
		rows, err := queryRuns(ctx, tx, "WHERE state = 'running'")
		if err != nil {
			return err
		}
		for _, row := range rows {
			row.State = Interrupted
			if err := errors.Join(row.count(ctx, tx), row.store(ctx, tx)); err != nil {
				return err
			}
		}
		return nil
	})
}
