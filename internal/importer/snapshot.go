package importer

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/snapshot"
)

// Which versions of a snapshot's policies are wanted; a number is that version alone.
const (
	AllVersions    = "all"
	ActiveVersions = "active" // effective or pending on a network when the snapshot was made
	LatestVersion  = "latest"
)

// SnapshotOptions say what of a snapshot is wanted, and as what.
type SnapshotOptions struct {
	Wants    func(cloudlet.Policy) bool // nil: every policy
	Versions string
	Name     string // template: {name}, {id}
	Shared   bool   // legacy policies become shared ones
	// Group gives the group in the target account of a policy that was in that group.
	Group func(old int64) int64
	// Live are the networks on which the versions that were effective there are to be activated.
	Live []cloudlet.Network
}

// Note is something that an import does not bring, or that people should know before they agree to it.
type Note struct {
	Item string `json:"item"`
	Text string `json:"text"`
}

// FromSnapshot gives the policies and load-balancing origins of a snapshot that are wanted, with what is left out. Every
// document that is to be sent is read, and found whole, before it returns. Legacy policies come before shared ones, each
// by ascending id; origins are those that a wanted policy uses.
func FromSnapshot(ctx context.Context, s *snapshot.Snapshot, o SnapshotOptions) ([]Policy, []Note, error) {
	r := &snapshotReader{s: s, o: o, versions: map[string][]snapshot.File{}}
	var found []cloudlet.Policy
	folders := map[string]string{}
	for name, f := range s.Manifest.Files {
		dir := path.Dir(name)
		switch {
		case path.Base(name) == snapshot.PolicyFile && !strings.HasPrefix(dir, "origins/"):
			p, err := r.policyOf(dir)
			if err != nil {
				return nil, nil, err
			}
			folders[snapshot.Key(p.API, p.ID)] = dir
			found = append(found, p)
		case path.Base(dir) == "versions" && strings.HasSuffix(name, ".json"):
			r.versions[path.Dir(dir)] = append(r.versions[path.Dir(dir)], f)
		}
	}
	slices.SortFunc(found, func(a, b cloudlet.Policy) int {
		return cmp.Or(strings.Compare(string(a.API), string(b.API)), cmp.Compare(a.ID, b.ID))
	})
	found = slices.DeleteFunc(found, func(p cloudlet.Policy) bool { return o.Wants != nil && !o.Wants(p) })
	wanted, err := r.policies(ctx, found, folders)
	if err != nil {
		return nil, nil, err
	}
	wanted, err = r.addOrigins(wanted)
	if r.associated > 0 {
		r.note("associations", fmt.Sprintf("%d, of %d policies with properties (%s), are not restored: an activation makes those of legacy policies, "+
			"and a shared policy is used by whichever property names it", r.associated, r.users, strings.Join(r.properties, ", ")))
	}
	return wanted, r.notes, err
}

// policies reads the policies that are wanted side by side: hashing all their rules is most of the work of a plan.
func (r *snapshotReader) policies(ctx context.Context, found []cloudlet.Policy, folders map[string]string) ([]Policy, error) {
	wanted := make([]Policy, len(found))
	parts := make([]snapshotReader, len(found))
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range found {
		parts[i] = snapshotReader{s: r.s, o: r.o, versions: r.versions}
		if p.Deleted {
			parts[i].note(p.String(), "is deleted in the snapshot and is not restored")
			continue
		}
		reads.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if wanted[i], err = parts[i].policy(p, folders[snapshot.Key(p.API, p.ID)]); err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			return nil
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	for _, part := range parts {
		r.notes = append(r.notes, part.notes...)
		r.associated, r.users, r.properties = r.associated+part.associated, r.users+part.users, appendNew(r.properties, part.properties...)
	}
	slices.Sort(r.properties)
	return slices.DeleteFunc(wanted, func(w Policy) bool { return w.Source == "" }), nil
}

// snapshotReader turns what a snapshot holds into what is wanted.
type snapshotReader struct {
	s        *snapshot.Snapshot
	o        SnapshotOptions
	versions map[string][]snapshot.File // by the folder of the policy or origin
	notes    []Note
	// What the policies are associated with.
	associated, users int
	properties        []string
}

func (r *snapshotReader) note(item, text string) { r.notes = append(r.notes, Note{item, text}) }

func (r *snapshotReader) policyOf(dir string) (cloudlet.Policy, error) {
	text, err := r.s.Read(dir + "/" + snapshot.PolicyFile)
	if err != nil {
		return cloudlet.Policy{}, err
	}
	api := cloudlet.V2
	if strings.HasPrefix(dir, "shared/") {
		api = cloudlet.V3
	}
	return cloudlet.ParsePolicy(api, text)
}

func (r *snapshotReader) policy(p cloudlet.Policy, dir string) (Policy, error) {
	w := Policy{
		API: p.API, Type: p.Type, Description: p.Description, Source: p.String(),
		Name:  strings.NewReplacer("{name}", p.Name, "{id}", strconv.FormatInt(p.ID, 10)).Replace(r.o.Name),
		Group: max(r.o.Group(p.GroupID), 0),
	}
	if r.o.Shared {
		w.API = cloudlet.V3
	}
	rows, err := r.rows(dir, w.Source)
	if err != nil {
		return w, err
	}
	w.Live = r.live(rows)
	if err := r.countProperties(dir); err != nil {
		return w, err
	}
	err = r.addVersions(&w, dir, rows)
	if len(w.Versions) == 0 && w.Refused == "" && err == nil {
		r.note(p.String(), "no version of it is wanted or in the snapshot; the policy alone is made")
	}
	return w, err
}

// rows is the activation history of a policy or an origin; nothing where the snapshot has none.
func (r *snapshotReader) rows(dir, source string) ([]cloudlet.Activation, error) {
	name := dir + "/" + snapshot.ActivationsFile
	if _, ok := r.s.Manifest.Files[name]; !ok {
		r.note(source, "the snapshot has no activation history of it: what was active is not known")
		return nil, nil
	}
	text, err := r.s.Read(name)
	if err != nil {
		return nil, err
	}
	return cloudlet.ParseList(text, cloudlet.ParseActivation)
}

// countProperties notes which properties a policy is associated with: an object by name (v2), or an array with an element
// for each network (v3).
func (r *snapshotReader) countProperties(dir string) error {
	name := dir + "/" + snapshot.PolicyPropertiesFile
	if _, ok := r.s.Manifest.Files[name]; !ok {
		return nil
	}
	text, err := r.s.Read(name)
	if err != nil {
		return err
	}
	var names []string
	for property := range cloudlet.Members(text) {
		names = appendNew(names, property)
	}
	for element := range cloudlet.Elements(text) {
		names = appendNew(names, textOf(element, "name"))
	}
	if len(names) > 0 {
		r.users++
		r.associated += len(names)
		r.properties = appendNew(r.properties, names...)
		slices.Sort(r.properties)
	}
	return nil
}

// live is what was effective on the networks that are to be activated, with the properties that it was active for.
func (r *snapshotReader) live(rows []cloudlet.Activation) map[cloudlet.Network]Live {
	live := map[cloudlet.Network]Live{}
	for _, on := range r.o.Live {
		n := cloudlet.InForceOn(rows, on).Effective
		if n == 0 {
			continue
		}
		l := Live{Version: n}
		for _, row := range rows {
			if row.Network == on && row.Version == n && row.Status == cloudlet.Active && row.Property != "" && !slices.Contains(l.Properties, row.Property) {
				l.Properties = append(l.Properties, row.Property)
			}
		}
		slices.Sort(l.Properties)
		live[on] = l
	}
	return live
}

// addVersions reads the versions that are wanted, in ascending order.
func (r *snapshotReader) addVersions(w *Policy, dir string, rows []cloudlet.Activation) error {
	files := slices.Clone(r.versions[dir])
	slices.SortFunc(files, func(a, b snapshot.File) int { return cmp.Compare(versionNumber(a.Path), versionNumber(b.Path)) })
	wanted, err := r.wantedVersions(files, rows)
	if err != nil {
		return err
	}
	known := map[int64]bool{}
	for _, f := range files {
		n := versionNumber(f.Path)
		needed := wanted(n)
		for _, l := range w.Live {
			needed = needed || l.Version == n
		}
		if !needed {
			continue
		}
		doc, err := r.s.Read(f.Path)
		if err != nil {
			return err
		}
		v, deleted, err := readVersion(w, n, f.Path, doc)
		switch {
		case err != nil:
			w.Refused = fmt.Sprintf("version %d: %s", n, err)
			continue
		case deleted:
			r.note(w.Source, fmt.Sprintf("version %d is deleted in the snapshot and is not restored", n))
			continue
		}
		known[n] = true
		w.Versions = append(w.Versions, v)
	}
	for _, on := range []cloudlet.Network{cloudlet.Staging, cloudlet.Production} {
		if l, ok := w.Live[on]; ok && !known[l.Version] && w.Refused == "" {
			w.Refused = fmt.Sprintf("version %d was active on %s, and it is not in the snapshot or deleted there", l.Version, on)
		}
	}
	return nil
}

// wantedVersions says which versions the options ask for.
func (r *snapshotReader) wantedVersions(files []snapshot.File, rows []cloudlet.Activation) (func(int64) bool, error) {
	switch r.o.Versions {
	case AllVersions:
		return func(int64) bool { return true }, nil
	case ActiveVersions:
		var active []int64
		for _, on := range []cloudlet.Network{cloudlet.Staging, cloudlet.Production} {
			in := cloudlet.InForceOn(rows, on)
			active = append(active, in.Effective, in.Pending)
		}
		return func(n int64) bool { return slices.Contains(active, n) }, nil
	case LatestVersion:
		latest := int64(0)
		if len(files) > 0 {
			latest = versionNumber(files[len(files)-1].Path)
		}
		return func(n int64) bool { return n == latest }, nil
	}
	only, err := strconv.ParseInt(r.o.Versions, 10, 64)
	if err != nil || only < 1 {
		return nil, fmt.Errorf("versions %q: give all, active, latest or a number", r.o.Versions)
	}
	return func(n int64) bool { return n == only }, nil
}

// readVersion makes a wanted version of a document, and the body once, to know that it can be made.
func readVersion(w *Policy, number int64, ref string, doc []byte) (v Version, deleted bool, err error) {
	in, err := cloudlet.ParseVersion(doc)
	if err != nil {
		return v, false, err
	}
	v = Version{Number: number, Description: in.Description, Ref: ref, Rules: cloudlet.CountRules(doc)}
	if in.Deleted {
		return v, true, nil
	}
	var body []byte
	v.Hash, body, err = weigh(*w, v, doc)
	v.measure(body)
	switch {
	case err != nil:
	case w.IsOrigin():
		w.Origins = appendNew(w.Origins, dataCenterOrigins(doc)...)
	case w.Type == "ALB":
		w.Origins = appendNew(w.Origins, ruleOrigins(doc)...)
	case w.Type != "ER": // whose rules forward nowhere
		w.Forwards = appendNew(w.Forwards, ruleOrigins(doc)...)
	}
	return v, false, err
}

// versionNumber is the number that a version's file is named after; the layout makes sure that it is one.
func versionNumber(file string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(path.Base(file), ".json"), 10, 64)
	return n
}
