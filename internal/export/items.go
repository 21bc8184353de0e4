package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/snapshot"
)

// How deep an item lies: versions go before policies, and policies before more pages of lists.
const (
	depthList = iota
	depthPolicy
	depthVersion
)

// roots are the items that a round begins with.
func (s *state) roots() []job.Item {
	items := []job.Item{s.document(snapshot.GroupsFile, cloudlet.Groups())}
	for _, api := range s.export.Options.APIs {
		items = append(items, s.page(api, ""))
		if api == cloudlet.V3 {
			items = append(items, s.document(snapshot.SharedCloudletsFile, api.Cloudlets()))
			continue
		}
		items = append(items,
			s.document(snapshot.CloudletsFile, api.Cloudlets()),
			s.document(snapshot.PropertiesFile, cloudlet.AccountProperties()))
		if s.filter.everything() && (len(s.filter.types) == 0 || slices.Contains(s.filter.types, "ALB")) {
			items = append(items, s.originList())
		}
	}
	return items
}

// listPart begins the keys of items that read a list and leave no file.
const listPart = "list of "

// lacks reports whether err says that the account does not have a list, or that these credentials may not see it. When
// lists are read again it is believed only of what was absent before.
func (s *state) lacks(what string, err error) bool {
	status := cloudlet.StatusOf(err)
	if status != cloudlet.Forbidden && status != cloudlet.NotFound {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.absent[what]
	return known || s.round == 1
}

// read is Source.Get; credentials that are refused end the run.
func (s *state) read(ctx context.Context, r cloudlet.Resource) ([]byte, error) {
	doc, err := s.export.Source.Get(ctx, r)
	return doc, whole(err)
}

func whole(err error) error {
	if cloudlet.StatusOf(err) == cloudlet.Unauthorized {
		return job.Stop(err)
	}
	return err
}

// page reads one page of the list of policies; the policies and the next page follow.
func (s *state) page(api cloudlet.API, next string) job.Item {
	r := api.Policies(s.export.Options.Deleted)
	key := strings.TrimSuffix(fmt.Sprintf("%s%s policies from %s", listPart, api, next), " from ")
	return job.Item{Key: key, Depth: depthList, Do: func(ctx context.Context, _ *job.Task) (job.Step, error) {
		page, err := s.export.Source.Page(ctx, r, next)
		if next == "" && s.lacks(string(api)+" policies", err) {
			s.miss(string(api)+" policies", err, true)
			return job.Step{}, nil
		}
		if err != nil {
			return job.Step{}, whole(err)
		}
		var step job.Step
		var unread []error // an element that makes no sense hides no other
		for _, raw := range page.Elements {
			p, err := cloudlet.ParsePolicy(api, raw)
			if err != nil {
				unread = append(unread, fmt.Errorf("GET %s: %w", r.Path, err))
				continue
			}
			if !s.filter.wants(p) {
				continue
			}
			if m, item := s.policy(p); s.join(item.Key, m) {
				step.Next = append(step.Next, item)
			}
		}
		if page.Next != "" {
			step.Next = append(step.Next, s.page(api, page.Next))
		}
		return step, errors.Join(unread...)
	}}
}

// policy reads what belongs to one policy but its versions, which follow.
func (s *state) policy(p cloudlet.Policy) (*member, job.Item) {
	m := &member{name: p.String(), folder: snapshot.PolicyFolder(p), sheets: p.Type == edgeRedirector && s.export.makesSheets()}
	item := job.Item{Key: snapshot.Key(p.API, p.ID), Depth: depthPolicy}
	item.Do = func(ctx context.Context, t *job.Task) (job.Step, error) {
		list, err := s.read(ctx, p.API.Versions(p.ID, s.export.Options.Deleted))
		if err != nil {
			return s.lostItem(item.Key, m.name, err)
		}
		history, err := s.read(ctx, p.API.Activations(p.ID))
		if err != nil {
			return s.lostItem(item.Key, m.name, err)
		}
		use := p.API.Properties(p.ID)
		properties, failed := s.read(ctx, use)
		if failed == nil && s.unchanged(item.Key, m, p.Raw, list, history, properties) {
			return job.Step{Kept: true}, nil
		}
		versions, rows, err := parseLists(list, history)
		if err != nil {
			return job.Step{}, fmt.Errorf("%s: %w", m.name, err)
		}
		wanted := s.choose(versions, rows)
		s.list(m, versions, wanted)
		step := job.Step{Next: s.versions(item.Key, m, wanted, rows, func(n int64) cloudlet.Resource { return p.API.Version(p.ID, n) })}
		if failed != nil {
			return step, failed // the versions are worth having all the same
		}
		row := row(p, versions, rows, properties)
		docs := []document{
			{snapshot.PolicyFile, p.API.Policy(p.ID).Path, p.Raw},
			{snapshot.PolicyPropertiesFile, use.Path, properties},
			{snapshot.ActivationsFile, p.API.Activations(p.ID).Path, history},
		}
		return s.store(ctx, t, item.Key, m.folder, step, &row, docs...)
	}
	return m, item
}

// lostItem is what becomes of an item when reading it failed: 404 says that it was removed since it was listed.
func (s *state) lostItem(key, name string, err error) (job.Step, error) {
	if cloudlet.StatusOf(err) == cloudlet.NotFound && s.leave(key, name) {
		s.export.Log.Warn("removed from the account while the export ran", "item", name)
		return job.Step{Kept: true}, nil
	}
	return job.Step{}, err
}

func parseLists(list, history []byte) ([]cloudlet.Version, []cloudlet.Activation, error) {
	versions, err := cloudlet.ParseList(list, cloudlet.ParseVersion)
	if err != nil {
		return nil, nil, err
	}
	seen := map[int64]bool{}
	versions = slices.DeleteFunc(versions, func(v cloudlet.Version) bool { // a list that grew while it was paged through
		again := seen[v.Number]
		seen[v.Number] = true
		return again
	})
	rows, err := cloudlet.ParseList(history, cloudlet.ParseActivation)
	return versions, rows, err
}

// choose gives the versions that the options ask for, in the order of the list.
func (s *state) choose(versions []cloudlet.Version, rows []cloudlet.Activation) []cloudlet.Version {
	var wanted func(cloudlet.Version) bool
	switch s.export.Options.Versions {
	case ActiveVersions:
		staging, production := cloudlet.InForceOn(rows, cloudlet.Staging), cloudlet.InForceOn(rows, cloudlet.Production)
		live := []int64{staging.Effective, staging.Pending, production.Effective, production.Pending}
		wanted = func(v cloudlet.Version) bool { return slices.Contains(live, v.Number) }
	case LatestVersion:
		latest := newest(versions)
		wanted = func(v cloudlet.Version) bool { return v.Number == latest }
	default:
		return versions
	}
	return slices.DeleteFunc(slices.Clone(versions), func(v cloudlet.Version) bool { return !wanted(v) })
}

// newest is the highest number among the versions that are not deleted; 0 when there is none.
func newest(versions []cloudlet.Version) int64 {
	var highest int64
	for _, v := range versions {
		if !v.Deleted {
			highest = max(highest, v.Number)
		}
	}
	return highest
}

func row(p cloudlet.Policy, versions []cloudlet.Version, rows []cloudlet.Activation, properties []byte) snapshot.Row {
	return snapshot.Row{
		API: p.API, ID: p.ID, Name: p.Name, Type: p.Type, GroupID: p.GroupID, Deleted: p.Deleted,
		Versions: len(versions), Newest: newest(versions), Properties: propertyNames(properties),
		Staging: cloudlet.InForceOn(rows, cloudlet.Staging), Production: cloudlet.InForceOn(rows, cloudlet.Production),
	}
}

// propertyNames reads the names out of a policy's properties: the members of an object in v2, elements in v3.
func propertyNames(doc []byte) []string {
	var byName map[string]json.RawMessage
	if json.Unmarshal(doc, &byName) == nil {
		return slices.Sorted(maps.Keys(byName))
	}
	var list []struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(doc, &list) != nil {
		return nil // the document is kept whole all the same
	}
	names := make([]string, 0, len(list))
	for _, p := range list {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// document is one document to be stored below an item's folder, or at the top where there is none.
type document struct {
	name, request string
	text          []byte
}

// store completes step with the second stage: writing an item's documents, those that are not there already.
func (s *state) store(ctx context.Context, t *job.Task, key, folder string, step job.Step, row *snapshot.Row, docs ...document) (job.Step, error) {
	rec, _, err := t.Earlier(ctx)
	if err != nil {
		return step, err
	}
	earlier, err := decode(rec)
	if err != nil {
		return step, job.Stop(err)
	}
	step.Write = func(context.Context) (any, error) {
		now := record{Row: row}
		for _, d := range docs {
			f := snapshot.File{Path: d.name, Request: d.request}
			if folder != "" {
				f.Path = folder + "/" + d.name
			}
			f, changed, err := s.export.Store.Put(f, earlier.file(f.Path), d.text)
			if err != nil {
				return nil, job.Stop(err)
			}
			if changed {
				s.change()
				s.wrote(key, f.Path)
			}
			now.Files = append(now.Files, f)
		}
		return now, nil
	}
	return step, nil
}

// document reads one document about the account.
func (s *state) document(path string, r cloudlet.Resource) job.Item {
	key := snapshot.KeyOf(path)
	return job.Item{Key: key, Depth: depthList, Do: func(ctx context.Context, t *job.Task) (job.Step, error) {
		if s.didFail(key) {
			return job.Step{Kept: true}, nil
		}
		doc, err := s.read(ctx, r)
		if s.lacks(path, err) {
			s.miss(path, err, false)
			return job.Step{Kept: true}, nil
		}
		if err != nil {
			return job.Step{}, err
		}
		s.join(key, &member{name: path})
		return s.store(ctx, t, key, "", job.Step{}, nil, document{path, r.Path, doc})
	}}
}

// originList reads the list of load-balancing origins; the origins follow.
func (s *state) originList() job.Item {
	r := cloudlet.Origins()
	return job.Item{Key: listPart + "load-balancing origins", Depth: depthList, Do: func(ctx context.Context, _ *job.Task) (job.Step, error) {
		list, err := s.read(ctx, r)
		if s.lacks("load-balancing origins", err) {
			s.miss("load-balancing origins", err, false)
			return job.Step{}, nil
		}
		if err != nil {
			return job.Step{}, err
		}
		origins, err := cloudlet.ParseList(list, parseOrigin)
		if err != nil {
			return job.Step{}, fmt.Errorf("GET %s: %w", r.Path, err)
		}
		ids := make([]string, 0, len(origins))
		for _, o := range origins {
			ids = append(ids, o.id)
		}
		folders := snapshot.OriginFolders(ids)
		var step job.Step
		for _, o := range origins {
			if m, item := s.origin(o, folders[o.id]); s.join(item.Key, m) {
				step.Next = append(step.Next, item)
			}
		}
		return step, nil
	}}
}

type origin struct {
	id  string
	raw json.RawMessage
}

func parseOrigin(raw json.RawMessage) (origin, error) {
	var doc struct {
		OriginID string `json:"originId"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return origin{}, fmt.Errorf("read origin: %w", err)
	}
	if doc.OriginID == "" {
		return origin{}, errors.New("read origin: it has no originId")
	}
	return origin{doc.OriginID, raw}, nil
}

// origin reads the activations of one origin; its load-balancing versions follow.
func (s *state) origin(o origin, folder string) (*member, job.Item) {
	m := &member{name: "origin " + cloudlet.Printable(o.id), folder: folder}
	item := job.Item{Key: folder, Depth: depthPolicy}
	item.Do = func(ctx context.Context, t *job.Task) (job.Step, error) {
		list, err := s.read(ctx, cloudlet.OriginVersions(o.id))
		if err != nil {
			return s.lostItem(item.Key, m.name, err)
		}
		history, err := s.read(ctx, cloudlet.OriginActivations(o.id))
		if err != nil {
			return s.lostItem(item.Key, m.name, err)
		}
		if s.unchanged(item.Key, m, o.raw, list, history) {
			return job.Step{Kept: true}, nil
		}
		versions, rows, err := parseLists(list, history)
		if err != nil {
			return job.Step{}, fmt.Errorf("%s: %w", m.name, err)
		}
		wanted := s.choose(versions, rows)
		s.list(m, versions, wanted)
		step := job.Step{Next: s.versions(item.Key, m, wanted, rows, func(n int64) cloudlet.Resource { return cloudlet.OriginVersion(o.id, n) })}
		return s.store(ctx, t, item.Key, folder, step, nil,
			document{snapshot.OriginFile, cloudlet.Origin(o.id).Path, o.raw},
			document{snapshot.ActivationsFile, cloudlet.OriginActivations(o.id).Path, history})
	}
	return m, item
}
