package activate

import (
	"context"
	"encoding/json"
	"fmt"

	"cloudletmig/internal/job"
)

// Begun gives the activations that a run began and saw to their end, in order of their keys. Those that were live or under
// way before are not among them.
func Begun(ctx context.Context, journal job.Journal) ([]Memo, error) {
	var begun []Memo
	for rec, err := range journal.All(ctx, "") {
		if err != nil {
			return nil, fmt.Errorf("read what was activated: %w", err)
		}
		var memo Memo
		if json.Unmarshal(rec.Data, &memo) != nil || memo.Base.Target.Version == 0 {
			continue // a record of something else
		}
		if rec.State == job.Done && memo.N > 0 {
			begun = append(begun, memo)
		}
	}
	return begun, nil
}
