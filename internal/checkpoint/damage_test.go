package checkpoint

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// plant writes a database, and its log when there is one, where no other is.
func plant(t *testing.T, path string, data, log []byte) {
	t.Helper()
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + end); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if log != nil {
		if err := os.WriteFile(path+"-wal", log, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// reads opens the journal and gives its content. An error of opening or reading must be one of damage.
func reads(t *testing.T, path, what string) (content string, refused bool) {
	t.Helper()
	db, err := Open(t.Context(), path, Options{})
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: error is not one of damage: %v", what, err)
		}
		return "", true
	}
	content, err = dump(t, db)
	if err != nil && !errors.Is(err, ErrDamaged) {
		t.Errorf("%s: error is not one of damage: %v", what, err)
	}
	closed(t, db)
	return content, err != nil
}

// TestBitFlips is promise P10: of a journal with one flipped bit nothing is read that was not written.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	populate(t, path, 250)
	want, refused := reads(t, path, "sound journal")
	if refused || strings.Count(want, "version/") < 750 {
		t.Fatalf("the sound journal is refused or holds too little: %d", strings.Count(want, "version/"))
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(2026, uint64(*flips)))
	caught := 0
	for n := range *flips {
		bit := rng.IntN(len(good) * 8)
		if n%4 == 0 { // the first page, with header and schema, is small but matters most
			bit = rng.IntN(4096 * 8)
		}
		bad := append([]byte(nil), good...)
		bad[bit/8] ^= 1 << (bit % 8)
		plant(t, path, bad, nil)
		what := fmt.Sprintf("bit %d of byte %d", bit%8, bit/8)
		got, refused := reads(t, path, what)
		if refused {
			caught++
		} else if got != want {
			t.Errorf("%s: the journal is used and reads otherwise than written", what)
		}
	}
	t.Logf("%d flips of %d bits: %d refused, %d without effect", *flips, len(good)*8, caught, *flips-caught)
	if caught < *flips/2 {
		t.Error("so few are refused that something is not looked at")
	}
}

func TestTruncation(t *testing.T) {
	path := journalPath(t)
	populate(t, path, 100)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 15, 16, 99, 100, 4095, 4096, 8192, len(good) - 4096, len(good) - 1} {
		plant(t, path, good[:size], nil)
		if _, refused := reads(t, path, fmt.Sprint(size)); !refused {
			t.Errorf("a journal cut to %d of %d bytes is used", size, len(good))
		}
	}
	zeroed := append([]byte(nil), good...)
	clear(zeroed[len(zeroed)-4096:])
	plant(t, path, zeroed, nil)
	if _, refused := reads(t, path, "zeroed page"); !refused {
		t.Error("a journal with a zeroed page is used")
	}
}

func TestStrangeFiles(t *testing.T) {
	path := journalPath(t)
	populate(t, path, 5)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	conn := sql.OpenDB(newConnector("file:"+foreign, 0))
	if _, err := conn.ExecContext(t.Context(), "CREATE TABLE bookmarks (url TEXT)"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(foreign)
	if err != nil {
		t.Fatal(err)
	}
	newer := append([]byte(nil), good...)
	binary.BigEndian.PutUint32(newer[60:], uint32(len(migrations())+1))
	for _, c := range []struct {
		name, says string
		data       []byte
	}{
		{"foreign database", "another program", other},
		{"newer schema", "newer cloudletmig (journal version 2; this one knows 1)", newer},
		{"text", "no database", []byte(strings.Repeat("not a journal at all\n", 500))},
		{"empty", "is empty", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			plant(t, path, c.data, nil)
			_, err := Open(t.Context(), path, Options{})
			damage, ok := errors.AsType[*DamagedError](err)
			if !ok || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
				t.Fatalf("error is %v, want damage that says %q", err, c.says)
			}
			for _, advice := range []string{"--checkpoint", "--fresh", path} {
				if !strings.Contains(damage.Hint(), advice) {
					t.Errorf("the hint does not say %q: %s", advice, damage.Hint())
				}
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != string(c.data) {
				t.Errorf("the refused file was changed, %v", err)
			}
			if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
				t.Error("a log was left beside it")
			}
		})
	}
	t.Run("folder", func(t *testing.T) {
		if _, err := Open(t.Context(), t.TempDir(), Options{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("log without its database", func(t *testing.T) {
		plant(t, path, good, []byte("log"))
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("error is %v", err)
		}
	})
}

// TestRowChangedByHand goes past SQLite's own check: the structure is sound, the content is not.
func TestRowChangedByHand(t *testing.T) {
	for _, change := range []string{
		"UPDATE item SET state = 'done', error = '' WHERE error <> ''",
		"UPDATE item SET data = NULL WHERE key = 'version/0/1'",
		"DELETE FROM item WHERE run = 3; UPDATE item SET run = 3 WHERE run = 2",
		"UPDATE run SET fingerprint = 'g'",
		"UPDATE meta SET value = '2' WHERE name = 'version'",
		"DELETE FROM meta",
		"CREATE TABLE more (a)",
		"DROP TRIGGER attempt_is_append_only",
		"DROP TABLE attempt",
		"PRAGMA user_version = 0",
		"INSERT INTO attempt SELECT run, key, n, 'applied', marker, at, sum FROM attempt WHERE verdict = ''",
	} {
		path := journalPath(t)
		populate(t, path, 10)
		conn := sql.OpenDB(newConnector("file:"+path, 0))
		if _, err := conn.ExecContext(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if _, refused := reads(t, path, change); !refused {
			t.Errorf("the journal is used after %s", change)
		}
	}
}

// TestLogFlips flips bits in the log that a killed process leaves. Behind the first bad frame SQLite drops all commits
// without a word; all that may go missing is the last one, which a power failure could have cut as well.
func TestLogFlips(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	db := open(t, path)
	run := begin(t, db, RunInfo{Kind: "export", Target: "dir"})
	states := map[string]bool{}
	for i := range 20 {
		put(t, run, record(i))
		if i >= 18 { // all, and all but the last commit
			content, err := dump(t, db)
			if err != nil {
				t.Fatal(err)
			}
			states[strings.ReplaceAll(content, `"State": "running"`, `"State": "interrupted"`)] = true
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	copied := journalPath(t)
	plant(t, copied, data, log)
	if got, refused := reads(t, copied, "whole log"); refused || !states[got] {
		t.Fatalf("the log of a killed process is not taken: refused %v, %s", refused, got)
	}
	rng := rand.New(rand.NewPCG(7, uint64(*flips)))
	refusals := 0
	for range *flips {
		bit := rng.IntN(len(log) * 8)
		bad := append([]byte(nil), log...)
		bad[bit/8] ^= 1 << (bit % 8)
		plant(t, copied, data, bad)
		got, refused := reads(t, copied, fmt.Sprintf("bit %d of byte %d of the log", bit%8, bit/8))
		if refused {
			refusals++
		} else if !states[got] {
			t.Errorf("byte %d of %d: more than the last commit is missing", bit/8, len(log))
		}
	}
	t.Logf("%d of %d refused", refusals, *flips)
	if refusals < *flips/2 {
		t.Error("too few are refused")
	}
	// A cut, as by a power failure, is taken: what came before it is sound.
	plant(t, copied, data, log[:len(log)-100])
	if got, refused := reads(t, copied, "cut log"); refused || !states[got] {
		t.Errorf("a log cut within its last commit: refused %v", refused)
	}
	plant(t, copied, data, log[:20])
	if _, refused := reads(t, copied, "cut log header"); !refused {
		t.Error("a log cut within its header is taken")
	}
}
