// Package checkpoint is the journal: what runs did to which items, kept in one SQLite file so that a run can be killed
// at any moment and go on. Once a Put has returned its records outlive the process and the power; a journal that is
// damaged is refused, not guessed at.
package checkpoint

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// ErrClosed is what a journal answers after Close.
var ErrClosed = errors.New("journal is closed")

// Options are what Open wants to know.
type Options struct {
	// Command is shown to whoever finds the journal locked: the command line, without secrets.
	Command string
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// MaxPages bounds the file to so many pages of 4 KiB, for tests of a full disk. 0 is no bound.
	MaxPages int
}

// DB is an open journal. It is safe for concurrent use; a process opens it once.
type DB struct {
	path  string
	now   func() time.Time
	lock  *lock
	sql   *sql.DB
	stmts statements

	queue   chan *write
	closing chan struct{}
	done    chan struct{} // closed when the committer has ended
	once    sync.Once
	closed  error
}

// Open opens the journal at path, makes it where it is missing, and checks it whole. It fails at once with a
// LockedError while another process has it, and with a DamagedError when it is not, or no longer, what was written.
// Runs that a killed process left running become interrupted.
func Open(ctx context.Context, path string, opts Options) (_ *DB, err error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	path, err = resolve(path)
	if err != nil {
		return nil, err
	}
	l, err := acquire(path, opts)
	if err != nil {
		return nil, err
	}
	db := &DB{
		path: path, now: opts.Now, lock: l,
		queue: make(chan *write), closing: make(chan struct{}), done: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.release())
		}
	}()
	if err := db.prepareFile(ctx); err != nil {
		return nil, err
	}
	if db.sql, err = dial(ctx, path, opts.MaxPages); err != nil {
		return nil, db.opening(ctx, err)
	}
	if err := db.verify(ctx); err != nil {
		return nil, db.opening(ctx, err)
	}
	if err := db.ready(ctx); err != nil {
		return nil, db.failed("open", err)
	}
	go db.commitLoop(context.WithoutCancel(ctx))
	return db, nil
}

// ready prepares a journal that was found sound. The log starts empty, so that what an earlier process left in it cannot
// be taken for damage later.
func (db *DB) ready(ctx context.Context) error {
	if err := db.interruptStale(ctx); err != nil {
		return err
	}
	if err := checkpointLog(ctx, db.sql); err != nil {
		return err
	}
	return db.stmts.prepare(ctx, db.sql)
}

// resolve gives the one path of the journal, whatever links lead to it, so that two names of it share a lock. Missing
// folders are made.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("open journal: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("open journal: %w", err)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real, nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", fmt.Errorf("open journal: %w", err)
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// prepareFile looks at the file before SQLite does, since SQLite would change a foreign database to our settings, and
// makes it where it is missing.
func (db *DB) prepareFile(ctx context.Context) error {
	_, err := os.Lstat(db.path)
	if errors.Is(err, fs.ErrNotExist) {
		return db.create(ctx)
	}
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	if err := db.checkHeader(); err != nil {
		return err
	}
	return db.verifyLog()
}

// create builds the database under another name, so that a file of the journal's name is never half made.
func (db *DB) create(ctx context.Context) (err error) {
	if info, err := os.Stat(db.path + "-wal"); err == nil && info.Size() > 0 {
		return db.damaged("it is missing, but the log that belongs to it is there: " + db.path + "-wal")
	}
	fresh := db.path + ".new"
	remove := func() {
		for _, end := range []string{"", "-wal", "-shm", "-journal"} {
			_ = os.Remove(fresh + end) // most are not there
		}
	}
	remove()
	defer func() {
		if err != nil {
			remove()
			err = db.failed("create", err)
		}
	}()
	f, err := os.OpenFile(fresh, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	conn, err := dial(ctx, fresh, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(migrate(ctx, conn, 0), checkpointLog(ctx, conn), conn.Close()); err != nil {
		return err
	}
	if err := os.Rename(fresh, db.path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(db.path))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// setting is one pragma that the journal's promises rest on. A misspelt option of the DSN is ignored silently, so all
// are read back.
type setting struct{ pragma, want string }

func settings() []setting {
	return []setting{{"journal_mode", "wal"}, {"synchronous", "2"}, {"busy_timeout", "5000"}, {"foreign_keys", "1"}, {"cache_size", "-256"}}
}

func dial(ctx context.Context, path string, maxPages int) (*sql.DB, error) {
	dsn := url.URL{
		Scheme: "file", Path: path,
		RawQuery: "mode=rw&_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000&_txlock=immediate&_foreign_keys=on&_cache_size=-256",
	}
	conn := sql.OpenDB(newConnector(dsn.String(), maxPages))
	conn.SetMaxOpenConns(1)
	for _, s := range settings() {
		var got string
		err := conn.QueryRowContext(ctx, "PRAGMA "+s.pragma).Scan(&got)
		if err == nil && got != s.want {
			err = fmt.Errorf("%s is %s, not %s", s.pragma, got, s.want)
		}
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// checkpointLog moves the write-ahead log into the database.
func checkpointLog(ctx context.Context, conn *sql.DB) error {
	var busy, pages, moved int
	if err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved); err != nil {
		return err
	}
	if busy != 0 {
		return errors.New("the log could not be moved into the database")
	}
	return nil
}

// Path is where the journal is, with links followed.
func (db *DB) Path() string { return db.path }

// Close finishes what is queued, moves the log into the file and lets go of the lock. Later calls give the same answer.
func (db *DB) Close() error {
	db.once.Do(func() {
		close(db.closing)
		<-db.done
		err := checkpointLog(context.Background(), db.sql)
		if err != nil {
			err = db.failed("close", err)
		}
		db.closed = errors.Join(err, db.stmts.close(), db.release())
	})
	return db.closed
}

// release closes what is open, the lock last.
func (db *DB) release() error {
	var err error
	if db.sql != nil {
		err = db.sql.Close()
	}
	return errors.Join(err, db.lock.release())
}

// SQLite's result codes that matter here (SQLite, Result Codes).
const (
	codeCorrupt = 11
	codeFull    = 13
	codeNotADB  = 26
)

// using says what could not be done while the journal was open, or that it no longer is.
func (db *DB) using(ctx context.Context, do string, err error) error {
	if errors.Is(err, ErrChanged) {
		return err
	}
	select {
	case <-db.closing:
		return errors.Join(ErrClosed, err)
	case <-ctx.Done():
		return fmt.Errorf("%s journal %s: %w", do, db.path, ctx.Err())
	default:
		return db.failed(do, err)
	}
}

// failed says what could not be done. Damage is a DamagedError; a full disk wraps ENOSPC.
func (db *DB) failed(do string, err error) error {
	if errors.Is(err, ErrDamaged) {
		return err
	}
	switch sqliteCode(err) {
	case codeCorrupt, codeNotADB:
		return db.damaged(err.Error())
	case codeFull:
		return fmt.Errorf("%s journal %s: %w: %w", do, db.path, syscall.ENOSPC, err)
	}
	return fmt.Errorf("%s journal %s: %w", do, db.path, err)
}
