package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gofrs/flock"
)

// ErrLocked is what a LockedError is.
var ErrLocked = errors.New("journal is in use")

// LockedError says who holds the journal. All but Path is zero where the holder has not said.
type LockedError struct {
	Path    string    `json:"-"`
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// Error names path, process, host, command and time.
func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("journal %s is in use by another process", e.Path)
	}
	return fmt.Sprintf("journal %s is in use by process %d on %s (%s) since %s",
		e.Path, e.PID, e.Host, e.Command, e.Since.Format(time.RFC3339))
}

// Is makes errors.Is(err, ErrLocked) true.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// Hint says what to do.
func (e *LockedError) Hint() string {
	return "wait until that process has ended, or name another journal with --checkpoint"
}

// lock is the lock file of a journal. The system lets go of it when the process dies, however it dies.
type lock struct{ flock *flock.Flock }

// acquire takes the lock at once or says who has it. The lock file stays for good: removing it would let two processes
// hold two files of one name.
func acquire(path string, opts Options) (*lock, error) {
	l := &lock{flock: flock.New(path+".lock", flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))}
	ok, err := l.flock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock journal %s: %w", path, err)
	}
	if !ok {
		return nil, readHolder(path)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "this host"
	}
	holder, err := json.Marshal(&LockedError{PID: os.Getpid(), Host: host, Command: opts.Command, Since: opts.Now().UTC()})
	if err == nil {
		err = os.WriteFile(l.flock.Path(), append(holder, '\n'), 0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock journal %s: %w", path, err), l.release())
	}
	return l, nil
}

func readHolder(path string) error {
	e := &LockedError{Path: path}
	data, err := os.ReadFile(path + ".lock")
	if err != nil || json.Unmarshal(data, e) != nil {
		return &LockedError{Path: path} // being written just now
	}
	return e
}

func (l *lock) release() error {
	err := os.Truncate(l.flock.Path(), 0) // so that nobody is named who has gone
	return errors.Join(err, l.flock.Unlock())
}
