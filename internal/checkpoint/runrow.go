package checkpoint

import (
	"context"
	"database/sql"
	"encoding/json"
)

const runColumns = "seq, id, kind, args, target, options, fingerprint, state, started, ended, exit, summary, items, done, failed, sum"

// runRow is a run as it is stored.
type runRow struct {
	RunInfo
	seq            int64
	args           string
	summary        sql.NullString
	started, ended int64
	sum            int64
}

func (r *runRow) targets() []any {
	return []any{
		&r.seq, &r.ID, &r.Kind, &r.args, &r.Target, &r.Options, &r.Fingerprint, &r.State,
		&r.started, &r.ended, &r.Exit, &r.summary, &r.Items, &r.Done, &r.Failed, &r.sum,
	}
}

func (r *runRow) checksum(s *rowSum) int64 {
	s.table("run").int(r.seq)
	for _, text := range []string{r.ID, r.Kind, r.args, r.Target, r.Options, r.Fingerprint, r.State} {
		s.text(text)
	}
	s.int(r.started).int(r.ended).int(int64(r.Exit))
	s.optional([]byte(r.summary.String))
	return s.int(int64(r.Items)).int(int64(r.Done)).int(int64(r.Failed)).sum()
}

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func queryRuns(ctx context.Context, q queryer, where string, args ...any) ([]*runRow, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+runColumns+" FROM run "+where, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []*runRow
	for rows.Next() {
		r := &runRow{}
		if err := rows.Scan(r.targets()...); err != nil {
			return nil, err
		}
		if err := r.decode(); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

func (r *runRow) decode() error {
	r.Started, r.Ended = fromNanos(r.started), fromNanos(r.ended)
	if r.summary.Valid {
		r.Summary = json.RawMessage(r.summary.String)
	}
	return json.Unmarshal([]byte(r.args), &r.Args)
}

// store writes the row, new or not.
func (r *runRow) store(ctx context.Context, tx *sql.Tx) error {
	args, err := json.Marshal(r.Args)
	if err != nil {
		return err
	}
	r.args = string(args)
	r.started, r.ended = nanos(r.Started), nanos(r.Ended)
	r.summary = sql.NullString{String: string(r.Summary), Valid: len(r.Summary) > 0}
	r.sum = r.checksum(new(rowSum))
	_, err = tx.ExecContext(ctx, `INSERT INTO run (`+runColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (seq) DO UPDATE SET state = excluded.state, ended = excluded.ended, exit = excluded.exit, summary = excluded.summary,
		items = excluded.items, done = excluded.done, failed = excluded.failed, sum = excluded.sum`,
		r.seq, r.ID, r.Kind, r.args, r.Target, r.Options, r.Fingerprint, r.State,
		r.started, r.ended, r.Exit, r.summary, r.Items, r.Done, r.Failed, r.sum)
	return err
}

// count takes the counts from the items as they are now.
func (r *runRow) count(ctx context.Context, q queryer) error {
	return q.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (WHERE state = 'done' AND error = ''),
		count(*) FILTER (WHERE error <> '') FROM item WHERE run = ?`, r.seq).Scan(&r.Items, &r.Done, &r.Failed)
}
