package sheet

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// source is where the bytes of a sheet come from, and what is to be let go of at the end.
type source struct {
	name    string
	options Options
	file    *os.File // nil: a stream
	stream  io.Reader
	closers []func() error
	bom     bool // the text begins with a byte order mark
}

// open opens a path. A folder is none, and a named pipe or standard input is a stream.
func (s *source) open(path string) *Error {
	if path == "-" {
		if s.options.Stdin == nil {
			return wrong(CodeOption, "standard input is not available")
		}
		s.stream = s.options.Stdin
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return unreadable(err)
	}
	s.closers = append(s.closers, file.Close)
	info, err := file.Stat()
	switch {
	case err != nil:
		return unreadable(err)
	case info.IsDir():
		return wrong(CodeKind, "is a folder, not a sheet")
	case info.Mode().IsRegular():
		s.file = file
	}
	s.stream = file
	return nil
}

func (s *source) close() error {
	var all error
	for _, c := range slices.Backward(s.closers) {
		all = errors.Join(all, c())
	}
	s.closers = nil
	return all
}

// lines finds out by its first bytes what the file is, and gives its lines and their delimiter.
func (s *source) lines(ctx context.Context) (lines, rune, *Error) {
	stream := bufio.NewReader(s.stream)
	head, err := stream.Peek(8)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, unreadable(err)
	}
	switch {
	case len(head) == 0:
		return nil, 0, wrong(CodeEmpty, "the sheet is empty")
	case bytes.HasPrefix(head, []byte{0xd0, 0xcf, 0x11, 0xe0}):
		return nil, 0, wrong(CodeKind, "is an old .xls or a workbook with a password; save it as .xlsx without one, or as CSV")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return s.unzip(ctx, stream)
	}
	return s.text(ctx, stream)
}

// text gives the lines of a text.
func (s *source) text(ctx context.Context, stream *bufio.Reader) (lines, rune, *Error) {
	t, wrongText := newText(ctx, stream, s.options.Encoding)
	if wrongText != nil {
		return nil, 0, wrongText
	}
	s.bom = t.offset > 0
	decoded := bufio.NewReaderSize(t, blockSize)
	d := s.options.Delimiter
	if d == 0 {
		sample, err := decoded.Peek(blockSize)
		if i := bytes.LastIndexByte(sample, '\n'); i >= 0 && err == nil {
			sample = sample[:i+1] // the last line goes on
		}
		d = findDelimiter(sample)
	}
	return &textLines{from: decoded}, d, nil
}

// unzip gives the lines of what is in a zip: a workbook, or the one CSV of a download.
func (s *source) unzip(ctx context.Context, stream *bufio.Reader) (lines, rune, *Error) {
	file := s.file
	if file == nil {
		var err error
		if file, err = s.spool(ctx, stream); err != nil {
			return nil, 0, unreadable(err)
		}
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, unreadable(err)
	}
	archive, err := zip.NewReader(file, info.Size())
	if err != nil {
		return nil, 0, unreadable(err)
	}
	isBook := func(f *zip.File) bool { return strings.HasPrefix(f.Name, "xl/") }
	if slices.ContainsFunc(archive.File, isBook) {
		rows, wrongBook := s.book(ctx, io.NewSectionReader(file, 0, info.Size()))
		return rows, ',', wrongBook
	}
	member, wrongZip := onlyTable(archive.File)
	if wrongZip != nil {
		return nil, 0, wrongZip
	}
	s.name += " (" + member.Name + ")"
	content, err := member.Open()
	if err != nil {
		return nil, 0, unreadable(err)
	}
	s.closers = append(s.closers, content.Close)
	return s.text(ctx, bufio.NewReader(content))
}

// onlyTable finds the one CSV of a zip.
func onlyTable(files []*zip.File) (*zip.File, *Error) {
	var tables []*zip.File
	var names []string
	for _, f := range files {
		base := path.Base(f.Name)
		if strings.HasSuffix(f.Name, "/") || strings.HasPrefix(f.Name, "__MACOSX/") || strings.HasPrefix(base, ".") {
			continue
		}
		names = append(names, f.Name)
		if slices.Contains([]string{".csv", ".tsv", ".txt"}, strings.ToLower(path.Ext(base))) {
			tables = append(tables, f)
		}
	}
	switch {
	case len(names) == 0:
		return nil, wrong(CodeEmpty, "the zip is empty")
	case len(tables) != 1:
		return nil, wrong(CodeKind, "a zip must hold exactly one .csv, .tsv or .txt, and this one holds %s", quoted(names))
	case tables[0].Flags&1 != 0:
		return nil, wrong(CodeKind, "%q in the zip is encrypted", tables[0].Name)
	}
	return tables[0], nil
}

// spool puts a stream into a temp file, for what cannot be read from front to back.
func (s *source) spool(ctx context.Context, stream io.Reader) (*os.File, error) {
	file, err := os.CreateTemp(s.options.TempDir, "sheet-*")
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	s.closers = append(s.closers, func() error { return os.Remove(file.Name()) }, file.Close)
	if _, err := io.Copy(file, &watched{ctx, stream}); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return file, nil
}

// watched is a reader that ends with its context.
type watched struct {
	ctx  context.Context
	from io.Reader
}

func (w *watched) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.from.Read(p)
}
