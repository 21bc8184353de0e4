package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/snapshot"
)

// versions are the items of a policy's, or an origin's, wanted versions.
func (s *state) versions(key string, m *member, wanted []cloudlet.Version, rows []cloudlet.Activation, at func(int64) cloudlet.Resource) []job.Item {
	history := map[int64][]cloudlet.Activation{}
	for _, row := range rows {
		history[row.Version] = append(history[row.Version], row)
	}
	items := make([]job.Item, 0, len(wanted))
	for _, v := range wanted {
		e := edition{key: versionKey(key, v.Number), name: versionName(m.name, v.Number), file: snapshot.File{
			Path: snapshot.VersionFile(m.folder, v.Number), Request: at(v.Number).Path,
			Revision: v.Revision, Modified: v.Modified, Listed: listed(v, history[v.Number]),
		}}
		if m.sheets {
			e.sheet = snapshot.SheetFile(m.folder, v.Number)
		}
		items = append(items, s.version(e))
	}
	return items
}

// edition is one version as it is to be stored.
type edition struct {
	key, name string
	file      snapshot.File // as far as the lists tell
	sheet     string        // the path of its sheet; empty: it has none
}

// listed is a hash of all that the lists say of a version: its entry in the list of versions and its rows in the
// activation history. A version's document changes when it is activated although its revision does not, so both count.
func listed(v cloudlet.Version, rows []cloudlet.Activation) string {
	text := cloudlet.AppendCompact(nil, v.Raw)
	for _, row := range rows {
		text = cloudlet.AppendCompact(append(text, '\n'), row.Raw)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// version fetches one version with its rules, unless it is there already, or in the base, and the lists say of it what
// they said when it was read.
func (s *state) version(e edition) job.Item {
	return job.Item{Key: e.key, Depth: depthVersion, Do: func(ctx context.Context, t *job.Task) (job.Step, error) {
		if s.didFail(e.key) {
			return job.Step{Kept: true}, nil
		}
		kept, err := s.keeps(ctx, t, e)
		if err != nil {
			return job.Step{}, err
		}
		if kept {
			return job.Step{Kept: true}, nil
		}
		if doc, ok := s.fromBase(e); ok {
			return job.Step{Write: s.put(e, doc)}, nil
		}
		doc, err := s.read(ctx, cloudlet.Resource{Path: e.file.Request})
		if err != nil {
			return s.lostItem(e.key, e.name, err)
		}
		s.counted(&s.fetched)
		put := s.put(e, doc)
		return job.Step{Write: func(ctx context.Context) (any, error) {
			defer s.export.Source.Recycle(doc)
			return put(ctx)
		}}, nil
	}}
}

// keeps reports whether this round or an earlier run has stored the version, and its sheet, as the lists describe it.
func (s *state) keeps(ctx context.Context, t *job.Task, e edition) (bool, error) {
	rec, ok, err := t.Earlier(ctx)
	if err != nil || !ok || rec.State != job.Done || rec.Err != "" {
		return false, err
	}
	earlier, err := decode(rec)
	if err != nil {
		return false, job.Stop(err)
	}
	if earlier.file(e.file.Path).Listed != e.file.Listed {
		return false, nil
	}
	if e.sheet != "" && earlier.Lossy == nil && earlier.file(e.sheet).Path == "" {
		return false, nil
	}
	if s.round > 1 { // what this run has stored or checked needs no second look
		return true, nil
	}
	for _, f := range earlier.Files {
		if !s.export.Store.Holds(f) {
			return false, nil
		}
	}
	s.counted(&s.kept)
	return true, nil
}

// canTake reports whether documents of a base serve as they are: what was pretty-printed once is raw no more.
func canTake(base *snapshot.Snapshot, format string) bool {
	var o Options
	return format == Pretty || json.Unmarshal(base.Manifest.Options, &o) == nil && o.Format == format
}

// fromBase gives the base's copy of a version of which the lists say what they said then. A copy that is damaged is
// not taken. Nor is its sheet ever: that is made anew, whether or not the base has one.
func (s *state) fromBase(e edition) ([]byte, bool) {
	old, ok := s.base[e.key]
	if !ok || old.Listed != e.file.Listed {
		return nil, false
	}
	doc, err := s.export.Base.Read(old.Path)
	if err != nil {
		s.export.Log.Warn("reading a version again because its copy in the base snapshot is damaged", "error", err)
		return nil, false
	}
	s.counted(&s.taken)
	return doc, true
}

// put is the second stage of a version: its document and its sheet go to the disk, and one record speaks of both.
func (s *state) put(e edition, doc []byte) func(context.Context) (any, error) {
	return func(context.Context) (any, error) {
		e.file.Rules = cloudlet.CountRules(doc)
		f, _, err := s.export.Store.Put(e.file, snapshot.File{}, doc)
		if err != nil {
			return nil, job.Stop(err)
		}
		s.change()
		s.wrote(e.key, f.Path)
		now := record{Files: []snapshot.File{f}}
		if e.sheet != "" {
			err = s.putSheet(&now, e, doc)
		}
		return now, job.Stop(err)
	}
}
