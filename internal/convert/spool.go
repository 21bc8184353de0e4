package convert

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"

	"cloudletmig/internal/sheet"
)

// spool keeps the cells of all rows on disk, so that no more than a few thousand are ever held in memory. Rows are
// written in order and read in any; reading is safe for concurrent use once Flush has been called.
type spool struct {
	file   *os.File
	w      *bufio.Writer
	size   int64
	blocks []*offsetBlock
	rows   int
}

// offsetBlock says where a run of rows begins: four bytes a row.
type offsetBlock struct {
	base  int64
	begin [blockRows]uint32
}

const blockRows = 4096

// Marks of what follows in a record, beside those of columns, which are their numbers.
const (
	markLine   = 0xf0
	markCode   = 0xf1 // a row that could not be read: why
	markColumn = 0xf2
	markText   = 0xf3
)

func newSpool(dir string) (*spool, error) {
	file, err := os.OpenFile(filepath.Join(dir, "rows"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep the rows: %w", err)
	}
	return &spool{file: file, w: bufio.NewWriterSize(file, 256<<10)}, nil
}

func (s *spool) Close() error { return s.file.Close() }

// add appends a record and gives the number of its row, from 0.
func (s *spool) add(record []byte) (int, error) {
	if s.rows%blockRows == 0 {
		s.blocks = append(s.blocks, &offsetBlock{base: s.size})
	}
	b := s.blocks[s.rows/blockRows]
	b.begin[s.rows%blockRows] = uint32(s.size - b.base)
	s.size += int64(len(record))
	s.rows++
	if _, err := s.w.Write(record); err != nil {
		return 0, fmt.Errorf("keep the rows: %w", err)
	}
	return s.rows - 1, nil
}

func (s *spool) flush() error {
	if err := s.w.Flush(); err != nil {
		return fmt.Errorf("keep the rows: %w", err)
	}
	return nil
}

// offset is where a row begins; that of the row behind the last is where the last ends.
func (s *spool) offset(row int) int64 {
	if row == s.rows {
		return s.size
	}
	b := s.blocks[row/blockRows]
	return b.base + int64(b.begin[row%blockRows])
}

// read gives the records of rows first to behind-1 as one text.
func (s *spool) read(first, behind int, buf []byte) ([]byte, error) {
	from := s.offset(first)
	n := int(s.offset(behind) - from)
	if cap(buf) < n {
		buf = make([]byte, n, n+n/4)
	}
	buf = buf[:n]
	if _, err := s.file.ReadAt(buf, from); err != nil {
		return buf, fmt.Errorf("read the rows again: %w", err)
	}
	return buf, nil
}

// row reads one row.
func (s *spool) row(n int, to *sheet.Row, buf []byte) ([]byte, error) {
	buf, err := s.read(n, n+1, buf)
	if err != nil {
		return buf, err
	}
	_, _, err = decodeRow(string(buf), to)
	return buf, err
}

// appendRow writes a row as a record.
func appendRow(dst []byte, row *sheet.Row, cells columns) []byte {
	dst = append(dst, markLine)
	dst = binary.AppendUvarint(dst, uint64(row.Line))
	for c := range cells.each {
		dst = appendText(dst, byte(c), row.Cell(c))
	}
	return dst
}

// appendBad writes a row that could not be read.
func appendBad(dst []byte, bad *sheet.RowError) []byte {
	row := bad.Cells
	row.Line = bad.Line
	dst = appendRow(dst, &row, columnsOf(&row))
	dst = appendText(dst, markCode, bad.Code)
	dst = appendText(dst, markColumn, bad.Column)
	return appendText(dst, markText, bad.Text)
}

func appendText(dst []byte, mark byte, text string) []byte {
	dst = append(dst, mark)
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

var errRecord = errors.New("read the rows again: the file is not what was written")

// decodeRow reads a record. The row's cells are parts of record. What it gives beside is which columns hold something,
// and why the row could not be read in the sheet, or nil.
func decodeRow(record string, to *sheet.Row) (cells columns, bad *sheet.RowError, err error) {
	*to = sheet.Row{}
	for len(record) > 0 {
		mark := record[0]
		n, used := uvarint(record[1:])
		if used <= 0 {
			return 0, nil, errRecord
		}
		record = record[1+used:]
		if mark == markLine {
			to.Line = int(n)
			continue
		}
		if n > uint64(len(record)) {
			return 0, nil, errRecord
		}
		text := record[:n]
		record = record[n:]
		if mark < markLine {
			to.SetCell(sheet.Column(mark), text)
			cells |= 1 << mark
			continue
		}
		if bad == nil {
			bad = &sheet.RowError{Line: to.Line, Cells: *to}
		}
		switch mark {
		case markCode:
			bad.Code = text
		case markColumn:
			bad.Column = text
		case markText:
			bad.Text = text
		}
	}
	return cells, bad, nil
}

// columns says which columns of a row hold something, a bit each.
type columns uint32

func columnsOf(row *sheet.Row) columns {
	var held columns
	for c := range sheet.Column(sheet.Columns) {
		if row.Cell(c) != "" {
			held |= 1 << c
		}
	}
	return held
}

// each gives the columns, in their order.
func (held columns) each(yield func(sheet.Column) bool) {
	for ; held != 0; held &= held - 1 {
		if !yield(sheet.Column(bits.TrailingZeros32(uint32(held)))) {
			return
		}
	}
}

// within reports whether no column but these holds something.
func (held columns) within(these columns) bool { return held&^these == 0 }

// uvarint is binary.Uvarint for texts.
func uvarint(text string) (n uint64, used int) {
	for shift := 0; used < len(text) && shift < 64; shift += 7 {
		c := text[used]
		used++
		if n |= uint64(c&0x7f) << shift; c < 0x80 {
			return n, used
		}
	}
	return 0, 0
}
