package checkpoint

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	"cloudletmig/internal/job"
)

// pageRows is how many records All reads at once. Between pages the journal is free for others.
const pageRows = 256

// Run is one run of the journal, and the job.Journal of its items. It is safe for concurrent use.
type Run struct {
	db  *DB
	seq int64
	id  string
}

var _ job.Journal = (*Run)(nil)

// ID names the run: 8 hexadecimal digits.
func (r *Run) ID() string { return r.id }

// Get gives the record of key, and whether there is one.
func (r *Run) Get(ctx context.Context, key string) (job.Record, bool, error) {
	rows, err := r.db.records(ctx, r.db.stmts.get, r.seq, key)
	if err != nil || len(rows) == 0 {
		return job.Record{}, false, err
	}
	return rows[0], true, nil
}

// Put stores all records or none, durably before it returns. Concurrent calls share a commit. ctx can end the wait for the
// committer, but not a call that it has taken: what Put answers is what happened. Data of length 0 is stored as none.
func (r *Run) Put(ctx context.Context, records ...job.Record) error {
	return r.db.submit(ctx, &write{run: r.seq, puts: records})
}

// Delete removes the records of keys, all or none, durably before it returns. Keys that are not there are no error.
func (r *Run) Delete(ctx context.Context, keys ...string) error {
	return r.db.submit(ctx, &write{run: r.seq, deletes: keys})
}

// All gives every record whose key starts with prefix, in ascending byte order of keys. The loop's body may use the
// journal; a record that it changes ahead of itself is seen changed or not, but never half.
func (r *Run) All(ctx context.Context, prefix string) iter.Seq2[job.Record, error] {
	return r.db.paged(ctx, r.db.stmts.page, r.seq, prefix)
}

// paged pages through the records of a run.
func (db *DB) paged(ctx context.Context, page *sql.Stmt, run int64, prefix string) iter.Seq2[job.Record, error] {
	return func(yield func(job.Record, error) bool) {
		for from := prefix; ; {
			rows, err := db.records(ctx, page, run, from, pageRows)
			if err != nil {
				yield(job.Record{}, err)
				return
			}
			for _, rec := range rows {
				if !strings.HasPrefix(rec.Key, prefix) || !yield(rec, nil) {
					return
				}
			}
			if len(rows) < pageRows {
				return
			}
			from = rows[len(rows)-1].Key + "\x00" // the next key in byte order
		}
	}
}

// records runs a query for items of one run and checks every row that it gives.
func (db *DB) records(ctx context.Context, query *sql.Stmt, run int64, args ...any) ([]job.Record, error) {
	rows, err := query.QueryContext(ctx, append([]any{run}, args...)...)
	if err != nil {
		return nil, db.using(ctx, "read", err)
	}
	defer func() { _ = rows.Close() }()
	var list []job.Record
	var s rowSum
	for rows.Next() {
		var rec job.Record
		var data sql.NullString
		var sum int64
		if err := rows.Scan(&rec.Key, &rec.State, &data, &rec.Err, &sum); err != nil {
			return nil, db.using(ctx, "read", err)
		}
		if data.Valid {
			rec.Data = json.RawMessage(data.String)
		}
		if sum != itemSum(&s, run, &rec) {
			return nil, db.badSum("item", fmt.Sprintf("%q", rec.Key))
		}
		list = append(list, rec)
	}
	if err := rows.Err(); err != nil {
		return nil, db.using(ctx, "read", err)
	}
	return list, nil
}
