package export_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/export"
	"cloudletmig/internal/job"
	"cloudletmig/internal/simulator"
	"cloudletmig/internal/snapshot"
)

// countSheet makes a sheet that says how many rules a document has.
func countSheet(doc []byte) ([]byte, []string, error) {
	return fmt.Appendf(nil, "rules\r\n%d\r\n", cloudlet.CountRules(doc)), nil, nil
}

func withSheets(e *export.Export) { e.Options.CSV, e.Sheet = true, countSheet }

// sheetsAreRight holds the sheets of a snapshot against its Edge Redirector versions.
func sheetsAreRight(t *testing.T, s *snapshot.Snapshot) {
	t.Helper()
	found := 0
	for file, f := range s.Manifest.Files {
		if f.Listed == "" {
			continue
		}
		sheet := strings.TrimSuffix(file, ".json") + ".csv"
		text, err := s.Read(sheet)
		policy, policyErr := s.Read(path.Join(path.Dir(file), "..", snapshot.PolicyFile))
		if policyErr != nil || !strings.Contains(string(policy), `"ER"`) { // an origin's, or another Cloudlet's
			if err == nil {
				t.Errorf("%s has a sheet", file)
			}
			continue
		}
		found++
		if want := fmt.Sprintf("rules\r\n%d\r\n", f.Rules); err != nil || string(text) != want {
			t.Errorf("%s is %q, %v; want %q", sheet, text, err, want)
		}
		if about := s.Manifest.Files[sheet]; about.Listed != "" || about.Request != "" || about.Rules != 0 {
			t.Errorf("%s: %+v", sheet, about)
		}
	}
	if found == 0 || found != s.Manifest.Counts.Sheets || len(s.Versions()) != s.Manifest.Counts.Versions+s.Manifest.Counts.OriginVersions {
		t.Errorf("%d sheets, counts %+v, %d versions", found, s.Manifest.Counts, len(s.Versions()))
	}
}

func TestSheetsBesideRedirectorVersions(t *testing.T) {
	w := newWorld(t, simulator.Options{Account: simulator.Generate(simulator.GenerateOptions{Policies: 20, Plain: true, Shared: 0.4}), Seed: 1})
	with, _, err := w.export(t, withSheets)
	if err != nil {
		t.Fatal(err)
	}
	sheetsAreRight(t, with)
	without, _, err := w.export(t, func(e *export.Export) { e.Sheet = countSheet })
	if err != nil || without.Manifest.Counts.Sheets != 0 || len(without.Manifest.Files) != len(with.Manifest.Files)-with.Manifest.Counts.Sheets {
		t.Errorf("without --csv: %+v, %v", without.Manifest.Counts, err)
	}
	if live := snapshot.NewComparer(with); w.compare(t, with, live) != nil || len(live.Differences()) > 0 {
		t.Errorf("compared with the account it was read from: %v", live.Differences())
	}
	// A base serves whether or not it has sheets, and the sheets are made anew.
	for name, c := range map[string]struct {
		base   *snapshot.Snapshot
		change func(*export.Export)
		same   *snapshot.Snapshot
	}{
		"with on with":       {with, withSheets, with},
		"with on without":    {without, withSheets, with},
		"without on with":    {with, nil, without},
		"without on without": {without, nil, without},
	} {
		s, result, err := w.export(t, func(e *export.Export) {
			e.Base = c.base
			if c.change != nil {
				c.change(e)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if result.Fetched != 0 || len(s.Manifest.Files) != len(c.same.Manifest.Files) {
			t.Errorf("%s: %d fetched, %d files", name, result.Fetched, len(s.Manifest.Files))
		}
		for path, f := range c.same.Manifest.Files {
			if s.Manifest.Files[path] != f {
				t.Errorf("%s: %s is %+v, want %+v", name, path, s.Manifest.Files[path], f)
			}
		}
	}
}

// compare exports into a comparer with the options of s.
func (w *world) compare(t *testing.T, s *snapshot.Snapshot, store export.Store) error {
	t.Helper()
	e := export.Export{
		Source: w.client, Store: store, Pool: job.Pool{Workers: 4, Journal: &job.Memory{}}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Options: export.Options{APIs: []cloudlet.API{cloudlet.V2, cloudlet.V3}, Versions: export.AllVersions, Format: export.Pretty, CSV: true}, Sheet: countSheet,
	}
	_, err := e.Run(t.Context(), s.Manifest)
	return err
}

// TestResumeWantsBothFiles: what an earlier run has stored counts only while document and sheet are both sound.
func TestResumeWantsBothFiles(t *testing.T) {
	account, err := simulator.Load("../../samples/account")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, simulator.Options{Account: account})
	dir := filepath.Join(t.TempDir(), "snapshot")
	folder, err := durable.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	journal := &job.Memory{}
	run := func(change func(*export.Export)) export.Result {
		t.Helper()
		w.forget()
		e := export.Export{
			Source: w.client, Store: snapshot.NewWriter(folder, true), Pool: job.Pool{Workers: 4, Journal: journal},
			Options: export.Options{APIs: []cloudlet.API{cloudlet.V2, cloudlet.V3}, Versions: export.AllVersions, Format: export.Pretty, Types: []string{"ER"}},
			Log:     slog.New(slog.DiscardHandler), Now: time.Now,
		}
		withSheets(&e)
		change(&e)
		result, err := e.Run(t.Context(), snapshot.Manifest{})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	nothing := func(*export.Export) {}
	if r := run(nothing); r.Fetched != 5 || r.Manifest.Counts.Sheets != 5 {
		t.Fatalf("%d fetched, counts %+v", r.Fetched, r.Manifest.Counts)
	}
	if r := run(nothing); r.Fetched != 0 || r.Kept != 5 {
		t.Errorf("nothing changed: %d fetched, %d kept", r.Fetched, r.Kept)
	}
	versions := filepath.Join(dir, "legacy", "1002_sampleERpolicy", "versions")
	for name, damage := range map[string]func() error{
		"sheet missing":    func() error { return os.Remove(filepath.Join(versions, "2.csv")) },
		"sheet changed":    func() error { return os.WriteFile(filepath.Join(versions, "2.csv"), []byte("rules\r\n9\r\n"), 0o600) },
		"document missing": func() error { return os.Remove(filepath.Join(versions, "2.json")) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		r := run(nothing)
		if asked := w.versionRequests(); r.Fetched != 1 || len(asked) != 1 || !strings.HasSuffix(asked[0], "/1002/versions/2") {
			t.Errorf("%s: asked for %v", name, asked)
		}
		if _, problems, err := snapshot.Verify(t.Context(), dir, 2); err != nil || len(problems) > 0 {
			t.Errorf("%s: %v, %v", name, problems, err)
		}
	}
	// A journal that knows of no sheets is not believed either, and sheets that nobody wants any more go.
	if r := run(func(e *export.Export) { journal, e.Options.CSV = &job.Memory{}, false; e.Pool.Journal = journal }); r.Manifest.Counts.Sheets != 0 {
		t.Errorf("without --csv: %+v", r.Manifest.Counts)
	}
	if _, err := os.Stat(filepath.Join(versions, "2.csv")); !os.IsNotExist(err) {
		t.Errorf("a sheet stays: %v", err)
	}
	if r := run(nothing); r.Fetched != 5 || r.Manifest.Counts.Sheets != 5 {
		t.Errorf("records without sheets were believed: %d fetched, %+v", r.Fetched, r.Manifest.Counts)
	}
}

// TestLossyIsListed: what sheets cannot say is counted whole and listed in part, and no failure.
func TestLossyIsListed(t *testing.T) {
	account, err := simulator.Load("../../samples/account")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, simulator.Options{Account: account})
	many := make([]string, 50)
	for i := range many {
		many[i] = fmt.Sprintf("rule %d: %s", i+1, strings.Repeat("é", 400))
	}
	lossySheets := func(e *export.Export) {
		withSheets(e)
		e.Sheet = func(doc []byte) ([]byte, []string, error) {
			switch text := string(doc); {
			case strings.Contains(text, "11868"):
				return nil, nil, errors.New("what is this")
			case strings.Contains(text, "11872"):
				return []byte("half\n"), many, nil
			}
			return countSheet(doc)
		}
	}
	s, result, err := w.export(t, lossySheets)
	if err != nil {
		t.Fatal(err)
	}
	c := s.Manifest.Counts
	if !s.Manifest.Complete || c.Sheets != 4 || c.Lossy != 2 || c.Lost != 51 || len(s.Manifest.Lossy) != 2 {
		t.Fatalf("complete %v, counts %+v, lossy %v", s.Manifest.Complete, c, s.Manifest.Lossy)
	}
	none, part := s.Manifest.Lossy[0], s.Manifest.Lossy[1]
	if none.Item != "v2:1002 sampleERpolicy version 1" || none.Count != 1 || none.Lost[0] != "no sheet: what is this" {
		t.Errorf("no sheet: %+v", none)
	}
	if part.Item != "v2:1002 sampleERpolicy version 3" || part.Count != 50 || len(part.Lost) != 20 {
		t.Errorf("%+v", part)
	}
	for _, text := range part.Lost {
		if len(text) > 310 || !utf8.ValidString(text) || !strings.HasPrefix(text, "rule ") {
			t.Errorf("listed: %q", text)
		}
	}
	if _, ok := s.Manifest.Files["legacy/1002_sampleERpolicy/versions/1.csv"]; ok {
		t.Error("what is no sheet is in the manifest")
	}
	if len(result.Manifest.Lossy) != 2 || result.Manifest.Counts != c {
		t.Errorf("the result says %+v", result.Manifest)
	}
	again, _, err := w.export(t, func(e *export.Export) { lossySheets(e); e.Base = s })
	if err != nil || again.Manifest.Counts != c || len(again.Manifest.Lossy) != 2 {
		t.Errorf("based on it: %+v, %v", again.Manifest, err)
	}
}

// TestOptionsOfEarlierVersions: exports without sheets have the options that they had before there were any.
func TestOptionsOfEarlierVersions(t *testing.T) {
	w := newWorld(t, simulator.Options{Account: simulator.Generate(simulator.GenerateOptions{Policies: 2, Plain: true})})
	for csv, want := range map[bool]bool{false: false, true: true} {
		s, _, err := w.export(t, func(e *export.Export) { e.Options.CSV, e.Sheet = csv, countSheet })
		if err != nil || strings.Contains(string(s.Manifest.Options), `"csv"`) != want {
			t.Errorf("options %s, %v", s.Manifest.Options, err)
		}
	}
}
