package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"

	"cloudletmig/internal/checkpoint"
	"cloudletmig/internal/job"
)

// recordedPlan reads into plan what an unfinished run of the same command carries out, and reports whether there is one:
// that counts, whatever a new look at the account would give. It makes no journal.
func (a *app) recordedPlan(ctx context.Context, kind, target string, plan any) (found bool, err error) {
	file := a.loneCheckpoint()
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) || a.global.Fresh {
		return false, nil
	}
	db, err := checkpoint.Open(ctx, file, checkpoint.Options{Command: "cloudletmig " + strings.Join(storable(a.args), " ")})
	if err != nil {
		return false, unwritable(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }() //nolint:contextcheck // closed also when ctx has ended
	known, err := db.Runs(ctx)
	if err != nil {
		return false, err
	}
	for _, info := range known {
		if info.Kind != kind || info.Target != target || !info.Unfinished() {
			continue
		}
		for rec, err := range db.Items(ctx, info.ID, false) {
			if err != nil {
				return false, err
			}
			if rec.Key == planKey {
				return true, json.Unmarshal(rec.Data, plan)
			}
		}
	}
	return false, nil
}

// keepPlan records the plan that a run carries out.
func (r *run) keepPlan(ctx context.Context, plan any) error {
	text, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	return r.journal.Put(ctx, job.Record{Key: planKey, State: job.Done, Data: text})
}
