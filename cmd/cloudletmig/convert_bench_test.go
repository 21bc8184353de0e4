package main_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const (
	convertRows   = 1_000_000
	convertPairs  = 3
	convertMemory = 400 << 20
)

// redirectSheet writes a sheet of literal redirects, about 80 bytes a row, of which one in a hundred says again what an
// earlier one says.
func redirectSheet(b *testing.B, rows int) string {
	b.Helper()
	name := filepath.Join(b.TempDir(), "sheet.csv")
	file, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(file)
	_, _ = w.WriteString("source,target,status\n")
	for i := range rows {
		n := i
		if i%100 == 99 {
			n = i - 37
		}
		fmt.Fprintf(w, "/products/category-%d/item-%06d,/shop/c%d/new-item-%06d-landing-page,301\n", n%977, n, n%313, n)
	}
	if err := errors.Join(w.Flush(), file.Close()); err != nil {
		b.Fatal(err)
	}
	return name
}

// floorRule is a rule as encoding/json writes it.
type floorRule struct {
	Type        string `json:"type"`
	Name        string `json:"name"`
	Start       int64  `json:"start"`
	End         int64  `json:"end"`
	MatchURL    string `json:"matchURL"`
	StatusCode  int    `json:"statusCode"`
	RedirectURL string `json:"redirectURL"`
	Query       bool   `json:"useIncomingQueryString"`
	Relative    string `json:"useRelativeUrl"`
}

// convertFloor reads the sheet with encoding/csv and writes a rule a row with encoding/json into files of 4,000: what
// cannot be left out, and nothing else. It looks at nothing, and syncs nothing to the disk.
func convertFloor(sheet, dir string) (usage, error) {
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	begun := time.Now()
	in, err := os.Open(sheet)
	if err != nil {
		return usage{}, err
	}
	defer func() { _ = in.Close() }()
	rows := csv.NewReader(bufio.NewReaderSize(in, 64<<10))
	if _, err := rows.Read(); err != nil {
		return usage{}, err
	}
	for n := 1; ; n++ {
		more, err := floorChunk(rows, filepath.Join(dir, strconv.Itoa(n)+".json"))
		if err != nil || !more {
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
			cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
			return usage{wall: time.Since(begun), cpu: cpu}, err
		}
	}
}

func floorChunk(rows *csv.Reader, name string) (more bool, err error) {
	out, err := os.Create(name)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := bufio.NewWriterSize(out, 64<<10)
	_, _ = w.WriteString(`{"description":"floor","matchRules":[`)
	for i := range 4000 {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			_, _ = w.WriteString("]}")
			return false, w.Flush()
		}
		if err != nil {
			return false, err
		}
		status, err := strconv.Atoi(row[2])
		if err != nil {
			return false, err
		}
		text, err := json.Marshal(floorRule{
			Type: "erMatchRule", Name: "line " + strconv.Itoa(i), MatchURL: row[0], StatusCode: status, RedirectURL: row[1], Relative: "relative_url",
		})
		if err != nil {
			return false, err
		}
		if i > 0 {
			_ = w.WriteByte(',')
		}
		_, _ = w.Write(text)
	}
	_, _ = w.WriteString("]}")
	return true, w.Flush()
}

// convertSheet runs the program on a sheet.
func convertSheet(b *testing.B, sheet string, flags ...string) usage {
	b.Helper()
	args := append([]string{"convert", sheet, "--out", filepath.Join(b.TempDir(), "out"), "--name", "bench"}, flags...)
	cmd := exec.CommandContext(b.Context(), program(b), args...)
	begun := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("convert: %v\n%s", err, out)
	}
	used := usage{wall: time.Since(begun), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		used.rss = r.Maxrss * 1024
	}
	return used
}

// BenchmarkConvert holds the conversion of a million rows, all checks on, against the floor of the same run.
func BenchmarkConvert(b *testing.B) {
	sheet := redirectSheet(b, convertRows)
	for _, c := range []struct {
		name  string
		flags []string
		bound float64
	}{
		{"without the proof", []string{"--no-proof"}, 2.5},
		{"with the proof", nil, 3.5},
	} {
		b.Run(c.name, func(b *testing.B) {
			var ratios, walls, floors, cpu, floorCPU []float64
			var rss int64
			for range convertPairs {
				used := convertSheet(b, sheet, c.flags...)
				floor, err := convertFloor(sheet, b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				ratios = append(ratios, used.wall.Seconds()/floor.wall.Seconds())
				walls, floors = append(walls, used.wall.Seconds()), append(floors, floor.wall.Seconds())
				cpu, floorCPU = append(cpu, used.cpu.Seconds()), append(floorCPU, floor.cpu.Seconds())
				rss = max(rss, used.rss)
			}
			b.Logf("convert of %d rows, %s: %s; %s; %s; %s; %s; peak %.0f MiB", convertRows, c.name, describe("ratio", ratios),
				describe("convert s", walls), describe("floor s", floors), describe("convert CPU s", cpu), describe("floor CPU s", floorCPU),
				float64(rss)/(1<<20))
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(float64(rss)/(1<<20), "MiB")
			b.ReportMetric(0, "ns/op")
			if m := median(ratios); m > c.bound {
				b.Errorf("the conversion takes %.2f times the floor, bound %.1f", m, c.bound)
			}
			if rss > convertMemory {
				b.Errorf("peak %d bytes, bound %d", rss, convertMemory)
			}
		})
	}
}

// BenchmarkConvertMemory shows how a conversion's memory grows with its sheet.
func BenchmarkConvertMemory(b *testing.B) {
	var sizes []float64
	for _, rows := range []int{convertRows / 10, convertRows} {
		used := convertSheet(b, redirectSheet(b, rows))
		b.Logf("%d rows: peak %.1f MiB", rows, float64(used.rss)/(1<<20))
		b.ReportMetric(float64(used.rss)/(1<<20), fmt.Sprintf("MiB-at-%d", rows))
		sizes = append(sizes, float64(used.rss))
	}
	b.ReportMetric(0, "ns/op")
	if growth := sizes[1] / sizes[0]; growth > 4 {
		b.Errorf("memory grows %.2f times from %d to %d rows, bound 4", growth, convertRows/10, convertRows)
	}
}
