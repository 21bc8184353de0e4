package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// jsonCommand looks for a value in the one JSON document of a file, of stdout or of stderr.
func jsonCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: json FILE PATH... [= VALUE | ~ REGEXP | # LENGTH]")
	}
	operator, wanted, path := "", "", args[1:]
	if n := len(path); n >= 2 && slices.Contains([]string{"=", "~", "#"}, path[n-2]) {
		operator, wanted, path = path[n-2], path[n-1], path[:n-2]
	}
	value, found, err := look(ts.ReadFile(args[0]), path)
	ts.Check(err)
	holds := found
	switch operator {
	case "=":
		holds = found && value == wanted
	case "~":
		pattern, err := regexp.Compile(wanted)
		ts.Check(err)
		holds = found && pattern.MatchString(value)
	case "#":
		var elements []json.RawMessage
		holds = found && json.Unmarshal([]byte(value), &elements) == nil && strconv.Itoa(len(elements)) == wanted
	}
	if holds == neg {
		ts.Fatalf("%s: %s is %s (found: %v)", args[0], strings.Join(path, " "), value, found)
	}
}

func jsonenv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: jsonenv NAME FILE PATH...")
	}
	value, found, err := look(ts.ReadFile(args[1]), args[2:])
	ts.Check(err)
	if !found {
		ts.Fatalf("%s has no %s", args[1], strings.Join(args[2:], " "))
	}
	ts.Setenv(args[0], value)
}

// look gives the value at a path of member names and indexes: a string as its text, anything else as compact JSON.
func look(text string, path []string) (value string, found bool, err error) {
	at := json.RawMessage(text)
	if !json.Valid(at) {
		return "", false, fmt.Errorf("it is not one JSON document: %.200q", text)
	}
	for _, step := range path {
		var members map[string]json.RawMessage
		var elements []json.RawMessage
		index, notIndex := strconv.Atoi(step)
		switch {
		case json.Unmarshal(at, &members) == nil:
			at, found = members[step]
		case json.Unmarshal(at, &elements) == nil && notIndex == nil && index < len(elements):
			at, found = elements[index], true
		default:
			found = false
		}
		if !found {
			return "nothing", false, nil
		}
	}
	var plain string
	if json.Unmarshal(at, &plain) == nil && string(at) != "null" {
		return plain, true, nil
	}
	var compact bytes.Buffer
	err = json.Compact(&compact, at)
	return compact.String(), true, err
}

// tree is every file below a folder, by its slash-separated path.
func tree(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = text
		return err
	})
	return files, err
}

// trees gives the files of two folders, which must have the same names.
func trees(ts *testscript.TestScript, neg bool, args []string) (a, b map[string][]byte, names []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("two folders are compared")
	}
	a, err := tree(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err = tree(ts.MkAbs(args[1]))
	ts.Check(err)
	names = slices.Sorted(maps.Keys(a))
	if other := slices.Sorted(maps.Keys(b)); !slices.Equal(names, other) || len(names) == 0 {
		ts.Fatalf("%s has %d files, %s has %d:\n%q\n%q", args[0], len(names), args[1], len(other), names, other)
	}
	return a, b, names
}

const manifest = "manifest.json"

// ofThisRun are the lines of a manifest that no two exports share: the times, the run, and the seal over them.
var ofThisRun = regexp.MustCompile(`(?m)^  "(started|ended|run|seal)": .*\n`)

func same(ts *testscript.TestScript, neg bool, args []string) {
	a, b, names := trees(ts, neg, args)
	for _, name := range names {
		x, y := a[name], b[name]
		if name == manifest {
			x, y = ofThisRun.ReplaceAll(x, nil), ofThisRun.ReplaceAll(y, nil)
		}
		if !bytes.Equal(x, y) {
			ts.Fatalf("%s differs:\n%.2000s\n%.2000s", name, x, y)
		}
	}
}

// values compares two snapshots that were written in different formats.
func values(ts *testscript.TestScript, neg bool, args []string) {
	a, b, names := trees(ts, neg, args)
	differing := 0
	for _, name := range names {
		if name == manifest || !strings.HasSuffix(name, ".json") {
			continue
		}
		if !bytes.Equal(a[name], b[name]) {
			differing++
		}
		var x, y bytes.Buffer
		ts.Check(json.Compact(&x, a[name]))
		ts.Check(json.Compact(&y, b[name]))
		if !bytes.Equal(x.Bytes(), y.Bytes()) {
			ts.Fatalf("%s holds other values:\n%.2000s\n%.2000s", name, &x, &y)
		}
	}
	if differing == 0 {
		ts.Fatalf("the files are the same byte for byte")
	}
	x, y := indexRows(ts, a["index.csv"]), indexRows(ts, b["index.csv"])
	if fmt.Sprint(x) != fmt.Sprint(y) {
		ts.Fatalf("index.csv differs:\n%v\n%v", x, y)
	}
}

// indexRows are the rows of an index without their last column, the size in bytes.
func indexRows(ts *testscript.TestScript, text []byte) [][]string {
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	ts.Check(err)
	for i := range rows {
		rows[i] = rows[i][:len(rows[i])-1]
	}
	return rows
}

// served holds a snapshot against the account: every version that is not deleted, with the same members in the same
// order and the same numbers, and nothing else. A snapshot that was written with --format raw has the same bytes.
func served(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: served DIR")
	}
	files, err := tree(ts.MkAbs(args[0]))
	ts.Check(err)
	format, _, err := look(string(files[manifest]), []string{"options", "format"})
	ts.Check(err)
	stored := map[string][]byte{} // legacy/ID/N or shared/ID/N
	for name, text := range files {
		if parts := strings.Split(name, "/"); len(parts) == 4 && parts[0] != "origins" {
			id, _, _ := strings.Cut(parts[1], "_")
			stored[parts[0]+"/"+id+"/"+strings.TrimSuffix(parts[3], ".json")] = text
		}
	}
	for _, p := range worldOf(ts).account.Policies() {
		if p.Deleted {
			continue
		}
		api := "legacy"
		if p.Shared {
			api = "shared"
		}
		for _, n := range p.Versions {
			key := fmt.Sprintf("%s/%d/%d", api, p.ID, n)
			want, err := worldOf(ts).account.VersionText(p.ID, n)
			ts.Check(err)
			got := stored[key]
			delete(stored, key)
			if format != "raw" {
				var x, y bytes.Buffer
				ts.Check(json.Compact(&x, want))
				_ = json.Compact(&y, got) // a file that is not there differs below
				want, got = x.Bytes(), y.Bytes()
			}
			if !bytes.Equal(want, got) {
				ts.Fatalf("%s is not what the account holds:\n%.2000s\n%.2000s", key, got, want)
			}
		}
	}
	if len(stored) > 0 {
		ts.Fatalf("not of this account: %q", slices.Sorted(maps.Keys(stored)))
	}
}
