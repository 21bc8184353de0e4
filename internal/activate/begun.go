package activate

import (
	"context"
	"encoding/json"
	"fmt"

	"cloudletmig/internal/job"
)

// Begun gives the activations that a run began, in order of their keys, whether or not it saw them to their end: how the
// others ended the account tells. Those that were live or under way before are not among them.
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
		if memo.N > 0 && memo.ID != "" {
			begun = append(begun, memo)
		}
	}
	return begun, nil
}
