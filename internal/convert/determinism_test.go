package convert_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cloudletmig/internal/convert"
)

// TestTheFolderDependsOnSheetsAndOptionsAlone: not on how many workers there are, nor on the run.
func TestTheFolderDependsOnSheetsAndOptionsAlone(t *testing.T) {
	r := newRuns(t)
	rapid.Check(t, func(t *rapid.T) {
		defer r.clean(t)
		sheets := []string{drawSheet(t, drawnColumns).String()}
		o := drawOptions(t)
		o.NoProof = true
		o.Workers = 1
		one := r.run(t, o, sheets...)
		for _, workers := range []int{1, 2, 7} {
			o.Workers = workers
			other := r.run(t, o, sheets...)
			if fmt.Sprint(one.Err) != fmt.Sprint(other.Err) {
				t.Fatalf("%v and %v", one.Err, other.Err)
			}
			if one.Err == nil {
				wantSame(t, fmt.Sprint(workers, " workers: ", sheets[0]), one, other)
			}
		}
	})
}

// TestManyBatchesKeepTheirOrder: the same with more rows than a batch holds, of which every kind of trouble is a part.
func TestManyBatchesKeepTheirOrder(t *testing.T) {
	var b strings.Builder
	b.WriteString("source,target,status,name\n")
	for i := range 9000 {
		switch i % 9 {
		case 1:
			fmt.Fprintf(&b, "/p%d,/x,,same\n", i-1) // a conflict
		case 2:
			fmt.Fprintf(&b, "/p%d,https://o.example/%d,302,same\n", i-2, i-2) // a duplicate
		case 3:
			fmt.Fprintf(&b, "/P%d,/twin%d,,\n", i-3, i) // a case twin
		case 4:
			fmt.Fprintf(&b, "/p%d,/p%d,,\n", i, i) // leads to itself
		case 5:
			fmt.Fprintf(&b, "/p%d,/p%d,,line %d\n", i, i+4, i%50) // a chain
		case 6:
			fmt.Fprintf(&b, "/p%d,,,\n", i)
		case 7:
			fmt.Fprintf(&b, "/p%d,ü,1,\n", i)
		default:
			fmt.Fprintf(&b, "/p%d,https://o.example/%d,302,\n", i, i)
		}
	}
	var all []outcome
	for _, workers := range []int{1, 3, 8} {
		all = append(all, converted(t, func(o *convert.Options) { o.Workers, o.MaxRules = workers, 700 }, b.String()))
	}
	wantSame(t, "1 and 3 workers", all[0], all[1])
	wantSame(t, "1 and 8 workers", all[0], all[2])
	wantRows(t, all[0], 4000, 1000, 4000)
	for code, n := range map[string]int{"duplicate": 1000, "conflict": 1000, "case-twin": 2000, "self-redirect": 1000, "chain": 999, "no-target": 1000, "bad-status": 1000} {
		if all[0].Report.Counts[code] != n {
			t.Errorf("%s: %d, want %d", code, all[0].Report.Counts[code], n)
		}
	}
}
