package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
)

// rowSum computes the checksum of one row: the first 8 bytes of the SHA-256 of the table's name and the columns, each
// with its length in front. A rowSum is reused row after row.
type rowSum struct{ buf []byte }

func (s *rowSum) table(name string) *rowSum {
	s.buf = s.buf[:0]
	return s.text(name)
}

func (s *rowSum) int(v int64) *rowSum {
	s.buf = binary.AppendVarint(s.buf, v)
	return s
}

func (s *rowSum) text(v string) *rowSum {
	s.int(int64(len(v)))
	s.buf = append(s.buf, v...)
	return s
}

// optional takes none for another value than any text. An empty one is none.
func (s *rowSum) optional(v []byte) *rowSum {
	if len(v) == 0 {
		return s.int(-1)
	}
	return s.bytes(v)
}

func (s *rowSum) bytes(v []byte) *rowSum {
	s.int(int64(len(v)))
	s.buf = append(s.buf, v...)
	return s
}

func (s *rowSum) sum() int64 {
	h := sha256.Sum256(s.buf)
	return int64(binary.BigEndian.Uint64(h[:]))
}
