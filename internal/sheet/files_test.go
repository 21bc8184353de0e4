package sheet_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/xuri/excelize/v2"

	"cloudletmig/internal/sheet"
)

// file writes a file under a name that says nothing.
func file(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sheet.dat")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func zipped(t *testing.T, members ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i < len(members); i += 2 {
		m, err := w.Create(members[i])
		if err == nil {
			_, err = io.WriteString(m, members[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// workbook makes an .xlsx of two sheets.
func workbook(t *testing.T, rows map[string]any) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer func() { _ = f.Close() }()
	_, err := f.NewSheet("More")
	for at, cell := range rows {
		name, at, other := strings.Cut(at, "!")
		if !other {
			name, at = "Sheet1", name
		}
		err = errors.Join(err, f.SetCellValue(name, at, cell))
	}
	var out bytes.Buffer
	if err = errors.Join(err, f.Write(&out)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// readFile reads content as a file and again as standard input, which must give the same and leave nothing behind.
func readFile(t *testing.T, content []byte, o sheet.Options) ([]string, error) {
	t.Helper()
	o.TempDir = t.TempDir()
	get := func(path string) ([]string, error) {
		r, err := sheet.Open(t.Context(), path, o)
		if err != nil {
			return nil, err
		}
		rows, err := drain(r)
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := r.Next(new(sheet.Row)); err == nil {
			t.Error("a row after the last")
		}
		return rows, err
	}
	rows, err := get(file(t, content))
	o.Stdin = io.MultiReader(bytes.NewReader(content)) // no file
	again, errAgain := get("-")
	if !slices.Equal(rows, again) || (err == nil) != (errAgain == nil) {
		t.Errorf("a file gives\n%q, %v, standard input\n%q, %v", rows, err, again, errAgain)
	}
	if left, err := os.ReadDir(o.TempDir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return rows, err
}

func TestZip(t *testing.T) {
	rows, err := readFile(t, zipped(t, "Policy1/", "", "__MACOSX/._Policy1.csv", "x", "Policy1/.DS_Store", "x", "Policy1/Policy1.CSV", "from,to\n/a,/b\n"), sheet.Options{})
	if want := []string{"2 matchURL=/a redirectURL=/b"}; err != nil || !slices.Equal(rows, want) {
		t.Errorf("rows are %q, %v", rows, err)
	}
	for _, c := range []struct {
		content []byte
		code    string
		want    string
	}{
		{zipped(t, "a.csv", "from,to\n", "b.csv", "from,to\n"), sheet.CodeKind, `a zip must hold exactly one .csv, .tsv or .txt, and this one holds "a.csv", "b.csv"`},
		{zipped(t, "a.pdf", "x"), sheet.CodeKind, `a zip must hold exactly one .csv, .tsv or .txt, and this one holds "a.pdf"`},
		{zipped(t), sheet.CodeEmpty, "the zip is empty"},
		{zipped(t, "a.csv", "from,to\n\xff"), sheet.CodeEncoding, `(a.csv), line 2, byte 8: the byte 0xFF is not UTF-8`},
	} {
		_, err := readFile(t, c.content, sheet.Options{})
		var e *sheet.Error
		if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Error(), c.want) {
			t.Errorf("error is %v, want %s", err, c.want)
		}
	}
	broken := zipped(t, "a.csv", "from,to\n"+strings.Repeat("/a,/b\n", 1000))
	broken[60] ^= 0xff
	if rows, err := readFile(t, broken, sheet.Options{}); err == nil {
		t.Errorf("a broken zip gave %d rows", len(rows))
	}
}

func TestWorkbook(t *testing.T) {
	content := workbook(t, map[string]any{
		"A1": "# made by hand, \"with\" quotes", "A3": "From", "B3": "To ", "C3": "Status",
		"A4": "/a", "B4": "/b, \"x\"", "C4": 301, "A5": "/c", "B5": "/d\n# e", "A7": "/f", "B7": " ", "A8": "/g", "B8": "/h", "C8": "010", "E8": " ",
		"A9": "/i", "B9": "/j", "D9": "x", "A10": "#N/A", "B10": 1700000000, "More!A1": "/x", "More!B1": "/y",
	})
	rows, err := readFile(t, content, sheet.Options{})
	want := []string{
		"4 matchURL=/a redirectURL=/b, \"x\" statusCode=301", "5 matchURL=/c redirectURL=/d\n# e", "7 matchURL=/f",
		"8 matchURL=/g redirectURL=/h statusCode=010", "9 ragged: matchURL=/i redirectURL=/j at column 4", "10 matchURL=#N/A redirectURL=1700000000",
	}
	if err != nil || !slices.Equal(rows, want) {
		t.Errorf("rows are\n%q, want\n%q, %v", rows, want, err)
	}
	rows, err = readFile(t, content, sheet.Options{Sheet: "more", Delimiter: ';'})
	if want := []string{"1 matchURL=/x redirectURL=/y"}; err != nil || !slices.Equal(rows, want) {
		t.Errorf("rows are %q, %v", rows, err)
	}
	_, err = readFile(t, content, sheet.Options{Sheet: "none"})
	if err == nil || !strings.Contains(err.Error(), `: the workbook has no sheet "none"; it has "Sheet1", "More"`) {
		t.Errorf("error is %v", err)
	}
	var e *sheet.Error
	if _, err = readFile(t, workbook(t, nil), sheet.Options{}); !errors.As(err, &e) || e.Code != sheet.CodeEmpty {
		t.Errorf("an empty workbook: %v", err)
	}
	if _, err = readFile(t, zipped(t, "[Content_Types].xml", "<", "xl/workbook.xml", "<x"), sheet.Options{}); !errors.As(err, &e) {
		t.Errorf("a broken workbook: %v", err)
	}
}

// TestBigWorkbook is one whose sheet goes to a temp file.
func TestBigWorkbook(t *testing.T) {
	f := excelize.NewFile()
	w, err := f.NewStreamWriter("Sheet1")
	if err != nil {
		t.Fatal(err)
	}
	const rows = 60_000
	tail := strings.Repeat("x", 300)
	for i := range rows {
		at, _ := excelize.CoordinatesToCellName(1, i+1)
		if err := w.SetRow(at, []any{"/a" + at + tail, "/b"}); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := errors.Join(w.Flush(), f.Write(&out), f.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := readFile(t, out.Bytes(), sheet.Options{})
	if err != nil || len(got) != rows || !strings.HasPrefix(got[rows-1], "60000 matchURL=/aA60000x") {
		t.Errorf("%d rows, %v", len(got), err)
	}
}

func TestPaths(t *testing.T) {
	ctx := t.Context()
	var e *sheet.Error
	_, err := sheet.Open(ctx, t.TempDir(), sheet.Options{})
	if !errors.As(err, &e) || e.Code != sheet.CodeKind || !strings.HasSuffix(e.Error(), ": is a folder, not a sheet") {
		t.Errorf("a folder: %v", err)
	}
	missing := filepath.Join(t.TempDir(), "missing.csv")
	_, err = sheet.Open(ctx, missing, sheet.Options{})
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != missing+": cannot be read: no such file or directory" {
		t.Errorf("a missing file: %v", err)
	}
	if _, err = sheet.Open(ctx, "-", sheet.Options{}); err == nil {
		t.Error("no standard input")
	}
	ended, cancel := context.WithCancel(ctx)
	r, err := sheet.Open(ended, "-", sheet.Options{Stdin: strings.NewReader("from,to\n" + strings.Repeat("/a,/b\n", 100_000))})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if rows, err := drain(r); !errors.Is(err, context.Canceled) || len(rows) > 50_000 {
		t.Errorf("%d rows after the end, %v", len(rows), err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	content := workbook(t, map[string]any{"A1": "/a", "B1": "/b"})
	done := make(chan error)
	go func() { done <- os.WriteFile(pipe, content, 0o600) }()
	r, err = sheet.Open(ctx, pipe, sheet.Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := drain(r)
	if err = errors.Join(err, <-done, r.Close()); err != nil || len(rows) != 1 {
		t.Errorf("a pipe: %q, %v", rows, err)
	}
}
