package export_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/export"
	"cloudletmig/internal/job"
	"cloudletmig/internal/simulator"
	"cloudletmig/internal/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a simulated account and a client of it.
type world struct {
	server *simulator.Server
	client *akamai.Client

	mu    sync.Mutex
	asked []string // paths of the requests since the last forget
}

func newWorld(t *testing.T, opt simulator.Options) *world {
	t.Helper()
	w := &world{}
	opt.Credentials = simulator.NewCredentials()
	opt.Access = func(r simulator.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked = append(w.asked, r.Path)
	}
	w.server = simulator.New(opt)
	t.Cleanup(w.server.Close)
	listener, err := simulator.Listen(t.Context(), w.server, simulator.ListenOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	})
	creds, _, err := akamai.LoadCredentials(akamai.CredentialOptions{
		File: listener.Edgerc, FileGiven: true, Env: func(string) (string, bool) { return "", false },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.client, err = akamai.New(creds, akamai.Options{CAFile: listener.CAFile, Backoff: time.Millisecond, Valid: cloudlet.ValidJSON})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	return w
}

func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = nil
}

// versionRequests are the requests for a single version with its rules.
func (w *world) versionRequests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.asked), func(path string) bool { return !strings.Contains(path, "/versions/") })
}

// export exports into a new folder and gives it open.
func (w *world) export(t *testing.T, change func(*export.Export)) (*snapshot.Snapshot, export.Result, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "snapshot")
	folder, err := durable.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = folder.Close() }()
	e := export.Export{
		Source: w.client, Store: snapshot.NewWriter(folder, true), Pool: job.Pool{Workers: 8, Journal: &job.Memory{}},
		Options: export.Options{APIs: []cloudlet.API{cloudlet.V2, cloudlet.V3}, Versions: export.AllVersions, Format: export.Pretty},
		Log:     slog.New(slog.DiscardHandler), Now: time.Now,
	}
	if change != nil {
		change(&e)
	}
	if e.Options.Format == export.Raw {
		e.Store = snapshot.NewWriter(folder, false)
	}
	result, err := e.Run(t.Context(), snapshot.Manifest{})
	if err != nil && !errors.Is(err, job.ErrIncomplete) {
		return nil, result, err
	}
	_, problems, verifyErr := snapshot.Verify(t.Context(), dir, 2)
	if verifyErr != nil || err == nil && len(problems) > 0 {
		t.Errorf("the new snapshot has problems: %v %v", problems, verifyErr)
	}
	s, openErr := snapshot.Open(dir)
	if openErr != nil {
		t.Fatal(openErr)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, result, err
}

// TestWhole holds every file of a snapshot against the API's own answer, down to number literals and key order.
func TestWhole(t *testing.T) {
	w := newWorld(t, simulator.Options{Account: simulator.Generate(simulator.GenerateOptions{Policies: 24, Versions: 3, Rules: 4, Hostile: true}), Seed: 1})
	for _, format := range []string{export.Pretty, export.Raw} {
		s, result, err := w.export(t, func(e *export.Export) { e.Options.Format, e.Options.Deleted = format, true })
		if err != nil {
			t.Fatal(err)
		}
		if !s.Manifest.Complete || !s.Manifest.Consistent || result.Rounds != 2 {
			t.Errorf("%s: complete %v, consistent %v, %d rounds", format, s.Manifest.Complete, s.Manifest.Consistent, result.Rounds)
		}
		versions, full := 0, 0
		for path, f := range s.Manifest.Files {
			if path == snapshot.IndexFile {
				continue
			}
			got, err := s.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(path, "/policy.json") || strings.HasSuffix(path, "/origin.json") {
				continue // from the list; held against it below
			}
			want, err := w.client.Get(t.Context(), listing(f.Request))
			if err != nil {
				t.Fatal(err)
			}
			if format == export.Raw && !bytes.Equal(got, want) {
				t.Errorf("%s is not byte for byte what GET %s answers", path, f.Request)
			}
			same(t, path, got, want)
			if f.Listed != "" {
				versions++
			}
			if f.Rules == 5000 {
				full++
			}
		}
		if c := s.Manifest.Counts; versions != c.Versions+c.OriginVersions || full == 0 {
			t.Errorf("%s: %d version files, counted %d and %d; %d versions of 5,000 rules", format, versions, c.Versions, c.OriginVersions, full)
		}
		for _, api := range []cloudlet.API{cloudlet.V2, cloudlet.V3} {
			w.sameList(t, s, api.Policies(true))
		}
		w.sameList(t, s, cloudlet.Origins())
	}
}

// listing is the resource that a request path reads.
func listing(path string) cloudlet.Resource {
	r := cloudlet.Resource{Path: path}
	switch {
	case strings.HasPrefix(path, "/cloudlets/v3/") && (strings.HasSuffix(path, "/activations") || strings.HasSuffix(path, "/properties")):
		r.Paging = cloudlet.ByPage
	case strings.Contains(path, "/policies/") && strings.HasSuffix(path, "/activations"):
		r.Paging = cloudlet.ByOffset
	}
	return r
}

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(cloudlet.AppendCompact(nil, got), cloudlet.AppendCompact(nil, want)) {
		t.Errorf("%s differs from the account: %.300s, want %.300s", what, got, want)
	}
}

// sameList holds the elements of a list against the snapshot's, in whatever order.
func (w *world) sameList(t *testing.T, s *snapshot.Snapshot, r cloudlet.Resource) {
	t.Helper()
	read := func(from interface {
		Get(context.Context, cloudlet.Resource) ([]byte, error)
	},
	) []string {
		text, err := from.Get(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		var raws []json.RawMessage
		if err := json.Unmarshal(text, &raws); err != nil {
			t.Fatal(err)
		}
		list := make([]string, 0, len(raws))
		for _, raw := range raws {
			list = append(list, string(cloudlet.AppendCompact(nil, raw)))
		}
		slices.Sort(list)
		return list
	}
	if got, want := read(s), read(w.client); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("%s: the snapshot lists %d, the account %d", r.Path, len(got), len(want))
	}
}

// TestSecondExportIsTheSame: same account, same bytes.
func TestSecondExportIsTheSame(t *testing.T) {
	w := newWorld(t, simulator.Options{Account: simulator.Generate(simulator.GenerateOptions{Policies: 12}), Seed: 1})
	first, _, err := w.export(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := w.export(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Manifest.Files) != len(second.Manifest.Files) {
		t.Errorf("%d files, then %d", len(first.Manifest.Files), len(second.Manifest.Files))
	}
	for path, f := range first.Manifest.Files {
		if second.Manifest.Files[path] != f {
			t.Errorf("%s: %+v, then %+v", path, f, second.Manifest.Files[path])
		}
	}
}

func TestBaseCostsNoVersionRequest(t *testing.T) {
	w := newWorld(t, simulator.Options{Account: simulator.Generate(simulator.GenerateOptions{Policies: 12}), Seed: 1})
	base, _, err := w.export(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.forget()
	s, result, err := w.export(t, func(e *export.Export) { e.Base = base })
	if err != nil {
		t.Fatal(err)
	}
	if asked := w.versionRequests(); len(asked) > 0 || result.Fetched > 0 || result.Taken != s.Manifest.Counts.Versions+s.Manifest.Counts.OriginVersions {
		t.Errorf("%d version requests, %d fetched, %d of %d taken over", len(asked), result.Fetched, result.Taken, s.Manifest.Counts.Versions)
	}
	for path, f := range base.Manifest.Files {
		if s.Manifest.Files[path] != f {
			t.Errorf("%s: %+v, based on it %+v", path, f, s.Manifest.Files[path])
		}
	}
}

// TestDamagedBaseIsNotBelieved: a version whose copy in the base is damaged is read again.
func TestDamagedBaseIsNotBelieved(t *testing.T) {
	w := newWorld(t, simulator.Options{Account: simulator.Generate(simulator.GenerateOptions{Policies: 6}), Seed: 1})
	var dir string
	base, _, err := w.export(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	var damaged snapshot.File
	for path, f := range base.Manifest.Files {
		if f.Listed != "" && strings.HasPrefix(path, "legacy/") {
			damaged = f
			break
		}
	}
	dir = base.Path()
	if err := os.WriteFile(filepath.Join(dir, damaged.Path), []byte(`{"matchRules":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	w.forget()
	s, _, err := w.export(t, func(e *export.Export) { e.Base = base })
	if err != nil {
		t.Fatal(err)
	}
	if asked := w.versionRequests(); !slices.Equal(asked, []string{damaged.Request}) || s.Manifest.Files[damaged.Path].SHA256 != damaged.SHA256 {
		t.Errorf("asked for %v, want %s", asked, damaged.Request)
	}
}

func TestRefusedGroupFailsByName(t *testing.T) {
	account, err := simulator.Load("../../samples/account")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, simulator.Options{Account: account, DeniedGroups: []int64{1234}})
	s, _, err := w.export(t, nil)
	if !errors.Is(err, job.ErrIncomplete) || s.Manifest.Complete || len(s.Manifest.Failed) == 0 {
		t.Fatalf("%v, failed %v", err, s.Manifest.Failed)
	}
	for _, f := range s.Manifest.Failed {
		if !strings.HasPrefix(f.Item, "v2:") && !strings.HasPrefix(f.Item, "v3:") || !strings.Contains(f.Error, "403") || f.Request == "" {
			t.Errorf("failure %+v does not name a policy, a request and the status", f)
		}
	}
	if s.Manifest.Counts.Policies == 0 {
		t.Error("the rest was not exported")
	}
}

func TestAbsentAPIIsNoFailure(t *testing.T) {
	w := newWorld(t, simulator.Options{Account: simulator.Generate(simulator.GenerateOptions{Policies: 6}), Absent: map[string]int{"v3": 403, "origins": 404}})
	s, _, err := w.export(t, nil)
	if err != nil || !s.Manifest.Complete {
		t.Fatalf("%v, failed %v", err, s.Manifest.Failed)
	}
	var what []string
	for _, a := range s.Manifest.Absent {
		what = append(what, a.What)
	}
	for _, want := range []string{"v3 policies", "load-balancing origins"} {
		if !slices.Contains(what, want) {
			t.Errorf("absent: %v, want %s there", what, want)
		}
	}
	w = newWorld(t, simulator.Options{Absent: map[string]int{"v2": 403, "v3": 403}})
	if _, _, err := w.export(t, nil); cloudlet.StatusOf(err) != cloudlet.Forbidden {
		t.Errorf("nothing may be read at all, and the error is %v", err)
	}
}

func TestWhatIsNamedMustBeThere(t *testing.T) {
	w := newWorld(t, simulator.Options{Account: simulator.Generate(simulator.GenerateOptions{Policies: 6})})
	for name, change := range map[string]func(*export.Options){
		"policy nobody": func(o *export.Options) { o.Policies = []string{"nobody"} },
		"group 99":      func(o *export.Options) { o.Groups = []int64{99} },
	} {
		_, _, err := w.export(t, func(e *export.Export) { change(&e.Options) })
		if !errors.Is(err, export.ErrNoMatch) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTroubleInTheSecondRound: when a list or a document cannot be read again, nothing that was read is lost, nothing is
// called gone, and the run does not end well.
func TestTroubleInTheSecondRound(t *testing.T) {
	for _, c := range []struct{ path, status string }{
		{"/cloudlets/api/v2/policies?", "503"},
		{"/cloudlets/api/v2/policies?", "403"},
		{"/cloudlets/v3/policies?", "404"},
		{"/cloudlets/api/v2/policies/1001/versions?", "503"},
		{"/cloudlets/api/v2/policies/1001/activations?", "403"},
		{"/cloudlets/api/v2/policies/1001/properties", "503"},
		{"/group-info", "403"},
		{"/origins?", "404"},
		{"/cloudlets/api/v2/properties", "503"},
	} {
		t.Run(c.status+" "+c.path, func(t *testing.T) {
			w := newWorld(t, simulator.Options{Account: simulator.Generate(simulator.GenerateOptions{Policies: 6, Plain: true}), Seed: 1})
			whole, _, err := w.export(t, nil)
			if err != nil {
				t.Fatal(err)
			}
			second := &troubled{Client: w.client, path: c.path, status: c.status}
			s, _, err := w.export(t, func(e *export.Export) { e.Source = second })
			if !errors.Is(err, job.ErrIncomplete) || s.Manifest.Complete || s.Manifest.Consistent && strings.HasSuffix(c.path, "?") && !strings.Contains(c.path, "/1001/") {
				t.Errorf("the run ends with %v, complete %v, consistent %v", err, s.Manifest.Complete, s.Manifest.Consistent)
			}
			if len(s.Manifest.Gone) > 0 || len(s.Manifest.Failed) != 1 {
				t.Errorf("gone %v, failed %v", s.Manifest.Gone, s.Manifest.Failed)
			}
			for path, f := range whole.Manifest.Files {
				if path != snapshot.IndexFile && s.Manifest.Files[path].SHA256 != f.SHA256 {
					t.Errorf("%s is lost", path)
				}
			}
		})
	}
}

// troubled answers a path as it should once, and then no more.
type troubled struct {
	*akamai.Client
	path, status string

	mu    sync.Mutex
	asked int
}

func (c *troubled) fails(path string) error {
	if !strings.HasPrefix(path+"?", c.path) && !strings.HasSuffix(path, c.path) && !strings.Contains(path, c.path) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked++; c.asked == 1 {
		return nil
	}
	status := map[string]int{"503": 503, "403": 403, "404": 404}[c.status]
	return &cloudlet.APIError{Method: "GET", Path: path, Status: status}
}

func (c *troubled) Get(ctx context.Context, r cloudlet.Resource) ([]byte, error) {
	if err := c.fails(r.Path); err != nil {
		return nil, err
	}
	return c.Client.Get(ctx, r)
}

func (c *troubled) Page(ctx context.Context, r cloudlet.Resource, next string) (cloudlet.Page, error) {
	if err := c.fails(r.Path); err != nil {
		return cloudlet.Page{}, err
	}
	return c.Client.Page(ctx, r, next)
}
