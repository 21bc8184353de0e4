package checkpoint

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"

	"cloudletmig/internal/job"
)

// groupRows is how many rows share a commit at most, unless one write has more.
const groupRows = 64

// write is what one call wants stored: all of it or nothing.
type write struct {
	run      int64
	puts     []job.Record
	deletes  []string
	attempts []Attempt
	done     chan error
}

func (w *write) rows() int { return len(w.puts) + len(w.deletes) + len(w.attempts) }

// submit hands w to the committer and waits until it is durable. Before it is handed over ctx can end it; after that
// nothing can, and the answer is what became of it.
func (db *DB) submit(ctx context.Context, w *write) error {
	if w.rows() == 0 {
		return nil
	}
	w.done = make(chan error, 1)
	select {
	case db.queue <- w:
		return <-w.done
	case <-db.closing:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("write journal %s: %w", db.path, ctx.Err())
	}
}

// commitLoop is the committer: while one group is being committed the next gathers.
func (db *DB) commitLoop(ctx context.Context) {
	defer close(db.done)
	c := committer{db: db}
	for {
		select {
		case <-db.closing:
			return
		case w := <-db.queue:
			c.commit(ctx, c.gather(w))
		}
	}
}

type committer struct {
	db    *DB
	group []*write
	sum   rowSum
}

// gather takes what waits now, until it has groupRows. Before it stops at fewer it lets those run once who were answered
// a moment ago and are about to come with their next: a commit costs far more than that.
func (c *committer) gather(first *write) []*write {
	c.group = append(c.group[:0], first)
	yielded := false
	for rows := first.rows(); rows < groupRows; {
		select {
		case w := <-c.db.queue:
			c.group = append(c.group, w)
			rows += w.rows()
			yielded = false
		default:
			if yielded {
				return c.group
			}
			runtime.Gosched()
			yielded = true
		}
	}
	return c.group
}

// commit stores the group in one transaction and answers every write. When that fails each is tried alone, so that one
// cannot take the others down.
func (c *committer) commit(ctx context.Context, group []*write) {
	err := c.store(ctx, group)
	if err == nil || len(group) == 1 {
		for _, w := range group {
			w.done <- err
		}
		return
	}
	for _, w := range group {
		w.done <- c.store(ctx, []*write{w})
	}
}

func (c *committer) store(ctx context.Context, group []*write) error {
	err := inTx(ctx, c.db.sql, func(tx *sql.Tx) error {
		for _, w := range group {
			if err := c.storeOne(ctx, tx, w); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return c.db.failed("write", err)
	}
	return nil
}

func (c *committer) storeOne(ctx context.Context, tx *sql.Tx, w *write) error {
	st := &c.db.stmts
	err := each(ctx, tx, st.put, w.puts, func(r *job.Record) []any {
		return []any{w.run, r.Key, string(r.State), nullable(r.Data), r.Err, itemSum(&c.sum, w.run, r)}
	})
	if err != nil {
		return err
	}
	err = each(ctx, tx, st.delete, w.deletes, func(key *string) []any { return []any{w.run, *key} })
	if err != nil {
		return err
	}
	return each(ctx, tx, st.attempt, w.attempts, func(a *Attempt) []any {
		row := attemptRow{Attempt: *a, run: w.run, at: nanos(a.At)}
		return []any{w.run, a.Key, a.N, a.Verdict, a.Marker, row.at, row.checksum(&c.sum)}
	})
}

// each executes a statement once for every entry of list.
func each[T any](ctx context.Context, tx *sql.Tx, prepared *sql.Stmt, list []T, args func(*T) []any) error {
	if len(list) == 0 {
		return nil
	}
	stmt := tx.StmtContext(ctx, prepared)
	defer func() { _ = stmt.Close() }()
	for i := range list {
		if _, err := stmt.ExecContext(ctx, args(&list[i])...); err != nil {
			return err
		}
	}
	return nil
}

// nullable is data as a TEXT column takes it.
func nullable(data []byte) any {
	if len(data) == 0 {
		return nil
	}
	return string(data)
}

func itemSum(s *rowSum, run int64, r *job.Record) int64 {
	return s.table("item").int(run).text(r.Key).text(string(r.State)).optional(r.Data).text(r.Err).sum()
}

// statements are prepared once.
type statements struct{ put, delete, attempt, get, page, failed *sql.Stmt }

func (s *statements) prepare(ctx context.Context, conn *sql.DB) error {
	for _, p := range []struct {
		to    **sql.Stmt
		query string
	}{
		{&s.put, `INSERT INTO item (run, key, state, data, error, sum) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (run, key)
			DO UPDATE SET state = excluded.state, data = excluded.data, error = excluded.error, sum = excluded.sum`},
		{&s.delete, "DELETE FROM item WHERE run = ? AND key = ?"},
		{&s.attempt, "INSERT INTO attempt (run, key, n, verdict, marker, at, sum) VALUES (?, ?, ?, ?, ?, ?, ?)"},
		{&s.get, "SELECT key, state, data, error, sum FROM item WHERE run = ? AND key = ?"},
		{&s.page, "SELECT key, state, data, error, sum FROM item WHERE run = ? AND key >= ? ORDER BY key LIMIT ?"},
		{&s.failed, "SELECT key, state, data, error, sum FROM item WHERE run = ? AND key >= ? AND error <> '' ORDER BY key LIMIT ?"},
	} {
		var err error
		if *p.to, err = conn.PrepareContext(ctx, p.query); err != nil { //nolint:sqlclosecheck // they live as long as the journal; close closes them
			return err
		}
	}
	return nil
}

func (s *statements) close() error {
	return errors.Join(s.put.Close(), s.delete.Close(), s.attempt.Close(), s.get.Close(), s.page.Close(), s.failed.Close())
}
