package checkpoint

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// The write-ahead log (SQLite, Database File Format, 4.1 and 4.2).
const (
	logHeaderSize   = 32
	frameHeaderSize = 24
	logMagic        = 0x377f0682 // checksums over little-endian words; one more for big-endian
)

// verifyLog checks the log that a killed process left. SQLite ends its reading of the log at the first frame that is not
// sound and takes that for the cut of a power failure, so that a damaged frame would drop the commits behind it without a
// word. Such a cut can only be within the last commit: two whole commits at or behind it are damage. Whether the last
// commit alone was damaged or cut off cannot be told; it is dropped as SQLite does.
func (db *DB) verifyLog() error {
	f, err := os.Open(db.path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	defer func() { _ = f.Close() }()
	commits, err := lostCommits(bufio.NewReaderSize(f, 1<<16))
	switch {
	case errors.Is(err, errLogHeader):
		return db.damaged("its log " + f.Name() + " is not what was written")
	case err != nil:
		return fmt.Errorf("open journal: read log: %w", err)
	case commits > 1:
		return db.damaged(fmt.Sprintf("its log %s is not what was written: %d commits cannot be read", f.Name(), commits))
	}
	return nil
}

var errLogHeader = errors.New("log without a sound header")

// lostCommits counts the commits of the log's present generation that lie at or behind its first unsound frame.
func lostCommits(r io.Reader) (int, error) {
	var head [logHeaderSize]byte
	switch _, err := io.ReadFull(r, head[:]); {
	case errors.Is(err, io.EOF):
		return 0, nil // emptied
	case errors.Is(err, io.ErrUnexpectedEOF):
		return 0, errLogHeader
	case err != nil:
		return 0, err
	}
	word := func(b []byte, at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	var sum logSum
	sum.little = word(head[:], 0) == logMagic
	sum.add(head[:24])
	size := word(head[:], 8)
	if word(head[:], 0)&^1 != logMagic || !sum.is(head[24:]) || size < 512 || size > 1<<16 || size&(size-1) != 0 {
		return 0, errLogHeader
	}
	return countLost(r, sum, [8]byte(head[16:24]), make([]byte, frameHeaderSize+size))
}

// countLost reads frame after frame; sum is the running checksum behind the header.
func countLost(r io.Reader, sum logSum, salts [8]byte, frame []byte) (int, error) {
	sound, lost := true, uint32(0)
	foreign := uint32(0) // commits with other salts since the last frame with ours
	for {
		_, err := io.ReadFull(r, frame)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return int(lost), nil
		}
		if err != nil {
			return 0, err
		}
		ours := [8]byte(frame[8:16]) == salts                 // else it is left of an earlier generation, or its salts are damaged
		commits := min(1, binary.BigEndian.Uint32(frame[4:])) // a commit's frame gives the size of the database there
		if sound {
			before := sum
			sum.addFrame(frame)
			if ours && sum.is(frame[16:]) {
				continue
			}
			sound = false
			if commits == 0 && before.wasCommit(frame) {
				commits = 1
			}
		}
		if ours {
			lost += foreign + commits // what lies before a frame of ours is of our generation, whatever its salts say
			foreign = 0
		} else {
			foreign += commits
		}
	}
}

// logSum is the running checksum of a log.
type logSum struct {
	little bool
	a, b   uint32
}

// add takes a multiple of 8 bytes.
func (s *logSum) add(p []byte) {
	var order binary.ByteOrder = binary.BigEndian
	if s.little {
		order = binary.LittleEndian
	}
	for ; len(p) >= 8; p = p[8:] {
		s.a += order.Uint32(p) + s.b
		s.b += order.Uint32(p[4:]) + s.a
	}
}

func (s *logSum) addFrame(frame []byte) {
	s.add(frame[:8])
	s.add(frame[frameHeaderSize:])
}

// wasCommit says whether a frame that is no commit, and is not sound behind s, is sound as a commit: one bit of its
// fifth to eighth byte, which tell commits, was lost.
func (s *logSum) wasCommit(frame []byte) bool {
	for bit := range 32 {
		frame[4+bit/8] ^= 1 << (bit % 8)
		try := *s
		try.addFrame(frame)
		frame[4+bit/8] ^= 1 << (bit % 8)
		if try.is(frame[16:]) {
			return true
		}
	}
	return false
}

func (s *logSum) is(p []byte) bool {
	return binary.BigEndian.Uint32(p) == s.a && binary.BigEndian.Uint32(p[4:]) == s.b
}
