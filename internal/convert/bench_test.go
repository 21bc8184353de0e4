package convert_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/convert"
	"cloudletmig/internal/sheet"
)

// literalSheet writes a sheet of literal redirects, of which one in a hundred says again what one before says.
func literalSheet(tb testing.TB, rows int) string {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "sheet.csv")
	file, err := os.Create(name)
	if err != nil {
		tb.Fatal(err)
	}
	w := bufio.NewWriter(file)
	fmt.Fprintln(w, "source,target,status")
	for i := range rows {
		n := i
		if i%100 == 99 {
			n = i - 37
		}
		fmt.Fprintf(w, "/products/category-%d/item-%06d,/shop/c%d/new-item-%06d-landing,301\n", n%977, n, n%313, n)
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := file.Close(); err != nil {
		tb.Fatal(err)
	}
	return name
}

// BenchmarkRows converts a sheet of 200,000 rows in this process, for profiles.
func BenchmarkRows(b *testing.B) {
	const rows = 200_000
	name := literalSheet(b, rows)
	for _, proof := range []bool{false, true} {
		b.Run(fmt.Sprintf("proof=%v", proof), func(b *testing.B) {
			for b.Loop() {
				out, err := chunkset.Create(filepath.Join(b.TempDir(), "out"), false)
				if err != nil {
					b.Fatal(err)
				}
				r, err := sheet.Open(b.Context(), name, sheet.Options{TempDir: out.TempDir()})
				if err != nil {
					b.Fatal(err)
				}
				o := options()
				o.NoProof, o.Workers = !proof, runtime.GOMAXPROCS(0)
				if _, err := convert.Run(b.Context(), []convert.Sheet{{Name: "sheet.csv", Reader: r}}, out, o); err != nil {
					b.Fatal(err)
				}
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
				if err := out.Finish(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}
