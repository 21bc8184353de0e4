package checkpoint

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"cloudletmig/internal/job"
)

// ErrNoRun says that an id names no run, or more than one.
var ErrNoRun = errors.New("no such run")

// Runs gives all runs, newest first.
func (db *DB) Runs(ctx context.Context) ([]RunInfo, error) {
	return db.infos(ctx, "ORDER BY seq DESC")
}

// Run gives the run of that id. The beginning of an id is enough when no other begins so.
func (db *DB) Run(ctx context.Context, id string) (RunInfo, error) {
	list, err := db.infos(ctx, "WHERE substr(id, 1, length(?1)) = ?1 ORDER BY seq DESC", id)
	switch {
	case err != nil:
		return RunInfo{}, err
	case len(list) == 0 || id == "":
		return RunInfo{}, fmt.Errorf("find run %q in %s: %w", id, db.path, ErrNoRun)
	case len(list) > 1:
		ids := make([]string, len(list))
		for i := range list {
			ids[i] = list[i].ID
		}
		return RunInfo{}, fmt.Errorf("find run %q in %s: %w: %s all begin so", id, db.path, ErrNoRun, strings.Join(ids, ", "))
	}
	return list[0], nil
}

// infos counts the items of runs that have not ended; of the others the counts are stored.
func (db *DB) infos(ctx context.Context, where string, args ...any) ([]RunInfo, error) {
	rows, err := queryRuns(ctx, db.sql, where, args...)
	if err != nil {
		return nil, db.using(ctx, "read", err)
	}
	list := make([]RunInfo, len(rows))
	for i, row := range rows {
		if row.State == Running {
			if err := row.count(ctx, db.sql); err != nil {
				return nil, db.using(ctx, "read", err)
			}
		}
		list[i] = row.RunInfo
	}
	return list, nil
}

// Items gives the records of a run, or only those with an error, in ascending byte order of keys. The id is a whole one.
func (db *DB) Items(ctx context.Context, id string, onlyFailed bool) iter.Seq2[job.Record, error] {
	return func(yield func(job.Record, error) bool) {
		rows, err := queryRuns(ctx, db.sql, "WHERE id = ?", id)
		if err == nil && len(rows) == 0 {
			yield(job.Record{}, fmt.Errorf("find run %q in %s: %w", id, db.path, ErrNoRun))
			return
		}
		if err != nil {
			yield(job.Record{}, db.using(ctx, "read", err))
			return
		}
		page := db.stmts.page
		if onlyFailed {
			page = db.stmts.failed
		}
		db.paged(ctx, page, rows[0].seq, "")(yield)
	}
}

// Prune removes the items and attempts of complete and abandoned runs but for the newest keep of these, and says how
// many items that were. The runs stay listed, with their counts.
func (db *DB) Prune(ctx context.Context, keep int) (int, error) {
	var removed int64
	err := inTx(ctx, db.sql, func(tx *sql.Tx) error {
		const old = " WHERE run IN (SELECT seq FROM run WHERE state IN ('complete', 'abandoned') ORDER BY seq DESC LIMIT -1 OFFSET ?)"
		result, err := tx.ExecContext(ctx, "DELETE FROM item"+old, max(keep, 0))
		if err != nil {
			return err
		}
		if removed, err = result.RowsAffected(); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM attempt"+old, max(keep, 0))
		return err
	})
	if err != nil {
		return 0, db.using(ctx, "write", err)
	}
	return int(removed), nil
}
