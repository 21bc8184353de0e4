package upgrade

import (
	"encoding/json"
	"slices"
	"testing"

	"cloudletmig/internal/importer"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

// TestMadeOf wants all that a clone came with to be the run's, proved or not, and nothing else.
func TestMadeOf(t *testing.T) {
	t.Parallel()
	of := func(numbers ...int64) (made []importer.MadeVersion) {
		for _, n := range numbers {
			made = append(made, importer.MadeVersion{Number: n})
		}
		return made
	}
	for _, c := range []struct {
		name  string
		carry []int64
		proof *Proof
		state job.State
		want  []importer.MadeVersion
	}{
		{"proved", []int64{3, 7}, &Proof{Shared: 9, Pairs: []Pair{{3, 1}, {7, 2}}, Versions: of(1, 2)}, job.Done, of(1, 2)},
		{"proved by a former program", []int64{3, 7}, &Proof{Shared: 9, Pairs: []Pair{{3, 1}, {7, 2}}}, job.Done, of(1, 2)},
		{"not equal", []int64{1, 2}, &Proof{Shared: 9, Pairs: []Pair{{2, 2}}, Versions: of(1, 2), Differences: []Difference{{Text: "x"}}}, unproved, of(1, 2)},
		{"not looked at", []int64{1, 2}, nil, "", of(0, 0)},
	} {
		p := Planned{ID: 1, Action: Clone, NewName: "new"}
		for _, n := range c.carry {
			p.Carry = append(p.Carry, Version{Number: n})
		}
		journal := &job.Memory{}
		put := func(key string, state job.State, data any) {
			text, err := json.Marshal(data)
			if err != nil {
				t.Fatal(err)
			}
			if err := journal.Put(t.Context(), job.Record{Key: key, State: state, Data: text}); err != nil {
				t.Fatal(err)
			}
		}
		put(cloneKey(p), job.Done, once.Memo[absent, int64]{Format: 1, ID: 9, N: 1})
		if c.proof != nil {
			put(proofKey(p), c.state, c.proof)
		}
		id, created, versions, err := MadeOf(t.Context(), journal, p)
		if err != nil || id != 9 || !created || !slices.Equal(versions, c.want) {
			t.Errorf("%s: policy %d, %t, versions %v, want %v; %v", c.name, id, created, versions, c.want, err)
		}
	}
}
