package checkpoint

import (
	"context"
	"time"

	"cloudletmig/internal/job"
)

// Attempt is one line of an item's history: something was sent, or an answer to it came.
type Attempt struct {
	Key string
	N   int // which attempt at this item, from 1
	// Verdict is empty when the attempt is about to be sent, else what came of it: not-sent, rejected, conflict, applied, unknown.
	Verdict string
	Marker  string
	At      time.Time
}

// Log adds attempts to the history, all or none, durably before it returns. What is there is never changed: the same
// key, number and verdict once more is an error.
func (r *Run) Log(ctx context.Context, attempts ...Attempt) error {
	return r.db.submit(ctx, &write{run: r.seq, attempts: attempts})
}

// PutLogged stores records as Put does and adds attempts to the history as Log does, all or nothing, in one commit.
func (r *Run) PutLogged(ctx context.Context, attempts []Attempt, records ...job.Record) error {
	return r.db.submit(ctx, &write{run: r.seq, puts: records, attempts: attempts})
}

// Attempts gives the history of key in the order of its numbers, of each what was sent first.
func (r *Run) Attempts(ctx context.Context, key string) ([]Attempt, error) {
	rows, err := r.db.sql.QueryContext(ctx, `SELECT run, key, n, verdict, marker, at, sum FROM attempt
		WHERE run = ? AND key = ? ORDER BY n, verdict`, r.seq, key)
	if err != nil {
		return nil, r.db.using(ctx, "read", err)
	}
	defer func() { _ = rows.Close() }()
	var list []Attempt
	var t attemptTable
	var s rowSum
	for rows.Next() {
		has, wants, err := t.scan(rows, &s)
		if err != nil {
			return nil, r.db.using(ctx, "read", err)
		}
		if has != wants {
			return nil, r.db.badSum("attempt", key)
		}
		t.row.At = fromNanos(t.row.at)
		list = append(list, t.row.Attempt)
	}
	if err := rows.Err(); err != nil {
		return nil, r.db.using(ctx, "read", err)
	}
	return list, nil
}

type attemptRow struct {
	Attempt
	run, at int64
}

func (r *attemptRow) checksum(s *rowSum) int64 {
	return s.table("attempt").int(r.run).text(r.Key).int(int64(r.N)).text(r.Verdict).text(r.Marker).int(r.at).sum()
}

// nanos is a time as it is stored, with 0 for none.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
