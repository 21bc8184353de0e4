package checkpoint

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrDamaged is what a DamagedError is.
var ErrDamaged = errors.New("journal is damaged")

// DamagedError is a file that is no journal, no longer what was written, or written by a newer version.
type DamagedError struct {
	Path string
	What string // what is wrong with it
}

// Error says which file and what is wrong with it.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("journal %s cannot be used: %s", e.Path, e.What)
}

// Is makes errors.Is(err, ErrDamaged) true.
func (e *DamagedError) Is(target error) bool { return target == ErrDamaged }

// Hint says what to do.
func (e *DamagedError) Hint() string {
	return fmt.Sprintf("name another journal with --checkpoint FILE, or move %s and the files beside it that begin with its name out of the way and run again with --fresh", e.Path)
}

func (db *DB) damaged(what string) error { return &DamagedError{Path: db.path, What: what} }

// opening tells damage from other trouble while a journal is opened. Only what speaks of this process or this disk is
// other trouble: a flipped bit can make SQLite say almost anything.
func (db *DB) opening(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("open journal %s: %w", db.path, ctx.Err())
	}
	switch sqliteCode(err) {
	case 3, 5, 6, 7, 8, 9, 10, codeFull, 14, 15, 22, 23: // perm, busy, locked, nomem, readonly, interrupt, ioerr, cantopen, protocol, nolfs, auth
		return db.failed("open", err)
	}
	if errors.Is(err, ErrDamaged) {
		return err
	}
	return db.damaged(err.Error())
}

// The first bytes of a database (SQLite, Database File Format, 1.3).
const (
	headerSize    = 100
	magic         = "SQLite format 3\x00"
	applicationID = 0x636d6967 // "cmig"
)

// checkHeader reads the header without SQLite. All of what it looks at was set before the file got its name, and is not
// in the log alone, but for a version that a newer program may just have written.
func (db *DB) checkHeader() error {
	f, err := os.Open(db.path)
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	if !info.Mode().IsRegular() {
		return db.damaged("it is not a regular file")
	}
	var h [headerSize]byte
	switch _, err := io.ReadFull(f, h[:]); {
	case errors.Is(err, io.EOF):
		return db.damaged("it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return db.damaged("it is no journal: too short")
	case err != nil:
		return fmt.Errorf("open journal: %w", err)
	}
	word := func(at int) uint32 { return binary.BigEndian.Uint32(h[at:]) }
	switch version := word(60); {
	case string(h[:len(magic)]) != magic:
		return db.damaged("it is no database")
	case word(68) != applicationID:
		return db.damaged("it is a database of another program")
	case h[18] != 2 || h[19] != 2:
		return db.damaged("its header is not what was written")
	case version == 0:
		return db.damaged("it has no version")
	case version > uint32(len(migrations())):
		return db.newer(version)
	}
	return nil
}

func (db *DB) newer(version uint32) error {
	return db.damaged(fmt.Sprintf("it was written by a newer cloudletmig (journal version %d; this one knows %d)",
		version, len(migrations())))
}

// verify checks the structure with SQLite's own means, brings the schema up to date, and checks every row.
func (db *DB) verify(ctx context.Context) error {
	var version uint32
	if err := db.sql.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > uint32(len(migrations())) {
		return db.newer(version)
	}
	var found string
	if err := db.sql.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return db.damaged("integrity check: " + found)
	}
	if err := migrate(ctx, db.sql, int(version)); err != nil {
		return err
	}
	if err := db.verifySchema(ctx); err != nil {
		return err
	}
	var s rowSum
	for _, t := range []table{metaTable{}, &runTable{}, &itemTable{}, &attemptTable{}} {
		if err := db.verifyRows(ctx, t, &s); err != nil {
			return err
		}
	}
	return nil
}

// table is what verify knows of one table.
type table interface {
	name() string
	query() string
	// scan reads the current row and gives the checksum that it carries and the one that it should.
	scan(rows *sql.Rows, s *rowSum) (has, wants int64, err error)
}

func (db *DB) verifyRows(ctx context.Context, t table, s *rowSum) error {
	rows, err := db.sql.QueryContext(ctx, t.query())
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for n := 1; rows.Next(); n++ {
		has, wants, err := t.scan(rows, s)
		if err != nil {
			return err
		}
		if has != wants {
			return db.badSum(t.name(), n)
		}
	}
	return rows.Err()
}

func (db *DB) badSum(table string, row any) error {
	return db.damaged(fmt.Sprintf("row %v of table %s is not what was written", row, table))
}

type metaTable struct{}

func (metaTable) name() string  { return "meta" }
func (metaTable) query() string { return "SELECT name, value, sum FROM meta" }

func (metaTable) scan(rows *sql.Rows, s *rowSum) (has, wants int64, err error) {
	var name, value string
	err = rows.Scan(&name, &value, &has)
	return has, metaSum(s, name, value), err
}

func metaSum(s *rowSum, name, value string) int64 {
	return s.table("meta").text(name).text(value).sum()
}

type runTable struct{ row runRow }

func (*runTable) name() string  { return "run" }
func (*runTable) query() string { return "SELECT " + runColumns + " FROM run" }

func (t *runTable) scan(rows *sql.Rows, s *rowSum) (has, wants int64, err error) {
	err = rows.Scan(t.row.targets()...)
	return t.row.sum, t.row.checksum(s), err
}

type itemTable struct {
	run              int64
	key, state, fail sql.RawBytes
	data             sql.RawBytes
}

func (*itemTable) name() string  { return "item" }
func (*itemTable) query() string { return "SELECT run, key, state, data, error, sum FROM item" }

func (t *itemTable) scan(rows *sql.Rows, s *rowSum) (has, wants int64, err error) {
	err = rows.Scan(&t.run, &t.key, &t.state, &t.data, &t.fail, &has)
	s.table("item").int(t.run).bytes(t.key).bytes(t.state).optional(t.data).bytes(t.fail)
	return has, s.sum(), err
}

type attemptTable struct{ row attemptRow }

func (*attemptTable) name() string { return "attempt" }
func (*attemptTable) query() string {
	return "SELECT run, key, n, verdict, marker, at, sum FROM attempt"
}

func (t *attemptTable) scan(rows *sql.Rows, s *rowSum) (has, wants int64, err error) {
	r := &t.row
	err = rows.Scan(&r.run, &r.Key, &r.N, &r.Verdict, &r.Marker, &r.at, &has)
	return has, r.checksum(s), err
}
