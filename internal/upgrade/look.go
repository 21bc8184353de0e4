package upgrade

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/importer"
)

// Which versions are carried.
const (
	ActiveVersions = "active" // what clone takes by itself
	AllVersions    = "all"    // every version that is not deleted
)

// Selection says which legacy policies are meant.
type Selection struct {
	Wants    func(cloudlet.Policy) bool
	Versions string
	// Edits are what a plan file says: these policies are meant, whatever Wants says, and the versions that it names are
	// carried beside those that must be; nil: there is none.
	Edits map[int64]Edit
}

// Estate is what there is in the account, as far as an upgrade needs to know.
type Estate struct {
	Legacy []Legacy          // those that are meant, by ascending id
	All    []cloudlet.Policy // every legacy policy, by ascending id
	Names  map[string]Shared // all shared policies by name, without versions
	Kinds  cloudlet.Kinds    // of v3
	Groups []cloudlet.Group  // nil where they may not be listed
	Unread []importer.Note   // what could not be listed and so is not checked
	Pairs  map[string]Shared // those with a planned name, whole; Complete fills it
}

// Look reads the legacy policies that are meant with the versions that are carried, and the names of all shared ones. limit
// bounds the reads under way.
func Look(ctx context.Context, account Account, s Selection, limit int) (Estate, error) {
	e := Estate{Names: map[string]Shared{}, Pairs: map[string]Shared{}}
	legacy, err := importer.ListPolicies(ctx, account, cloudlet.V2)
	if err != nil {
		return e, err
	}
	shared, err := importer.ListPolicies(ctx, account, cloudlet.V3)
	if err != nil {
		return e, err
	}
	for _, p := range shared {
		e.Names[p.Name] = Shared{Policy: p}
	}
	if err := e.lookAround(ctx, account); err != nil {
		return e, err
	}
	e.All = legacy
	slices.SortFunc(e.All, func(a, b cloudlet.Policy) int { return cmp.Compare(a.ID, b.ID) })
	for _, p := range e.All {
		if _, named := s.Edits[p.ID]; named || s.Edits == nil && s.Wants(p) {
			e.Legacy = append(e.Legacy, Legacy{Policy: p})
		}
	}
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(max(limit, 1))
	for i := range e.Legacy {
		reads.Go(func() error {
			l := &e.Legacy[i]
			return l.excuse(ctx, l.Policy, l.read(ctx, account, s.Versions, s.Edits[l.ID].Carry))
		})
	}
	return e, reads.Wait()
}

// excuse notes an error that concerns this policy alone: what these credentials may not read, what is gone since it was
// listed, and what makes no sense. Any other ends the look.
func (l *Legacy) excuse(ctx context.Context, p cloudlet.Policy, err error) error {
	if err == nil {
		return nil
	}
	status := cloudlet.StatusOf(err)
	_, fromAPI := errors.AsType[*cloudlet.APIError](err)
	if ctx.Err() == nil && (status == cloudlet.Forbidden || status == cloudlet.NotFound || !fromAPI) {
		l.Unread, l.Denied = fmt.Sprintf("%s cannot be read: %s", p, err), status == cloudlet.Forbidden
		return nil
	}
	return fmt.Errorf("%s: %w", p, err)
}

// lookAround reads the types of v3 and the groups; a refusal is noted.
func (e *Estate) lookAround(ctx context.Context, account Account) error {
	e.Kinds = cloudlet.V3.DocumentedKinds()
	text, err := importer.Optional(ctx, account, cloudlet.V3.Cloudlets(), "cloudlets of v3", "those of the documents are taken", &e.Unread)
	if err == nil && text != nil {
		e.Kinds, err = cloudlet.ParseKinds(text)
	}
	if err != nil {
		return err
	}
	text, err = importer.Optional(ctx, account, cloudlet.Groups(), "groups", "groups and capabilities are not checked", &e.Unread)
	if err != nil || text == nil {
		return err
	}
	e.Groups, err = cloudlet.ParseList(text, cloudlet.ParseGroup)
	return err
}

// read reads versions, activations and properties of a legacy policy, and the documents of what is carried.
func (l *Legacy) read(ctx context.Context, account Account, which string, also []Version) (err error) {
	if l.Versions, err = listVersions(ctx, account, l.Policy); err != nil {
		return err
	}
	if l.Live, l.Past, err = liveOf(ctx, account, l.Policy); err != nil {
		return err
	}
	if l.Properties, err = usesOf(ctx, account, l.Policy); err != nil {
		return err
	}
	l.Carried = carriedSet(l.Versions, l.Live, which, also)
	for _, n := range l.Carried {
		if err := l.readVersion(ctx, account, n, true); err != nil {
			return err
		}
	}
	return nil
}

// readVersion reads the document of one version; carried ones are looked at whether v3 takes them.
func (l *Legacy) readVersion(ctx context.Context, account Account, number int64, carried bool) error {
	doc, err := account.Get(ctx, l.API.Version(l.ID, number))
	if err != nil {
		return err
	}
	i := slices.IndexFunc(l.Versions, func(v Version) bool { return v.Number == number })
	v := &l.Versions[i]
	shared := importer.Policy{API: cloudlet.V3, Type: l.Type}
	v.Rules = cloudlet.CountRules(doc)
	if v.Hash, err = importer.Hash(shared, doc); err != nil {
		return fmt.Errorf("version %d: %w", number, err)
	}
	if !carried {
		return nil
	}
	body, err := importer.Body(shared, v.Description, doc)
	if err != nil && l.Refused == "" {
		l.Refused = fmt.Sprintf("version %d: %s", number, err)
	}
	l.Bytes = max(l.Bytes, len(body))
	return nil
}

// carriedSet is what clone takes by itself: what is effective or pending on a network and what was modified last, the
// higher number among equals (Cloudlets API v3, Clone a policy); with all, every version; and those that are told, where
// they are there.
func carriedSet(versions []Version, live map[cloudlet.Network]cloudlet.InForce, which string, also []Version) []int64 {
	carried := map[int64]bool{}
	for _, v := range also {
		carried[v.Number] = true
	}
	newest := Version{}
	for _, v := range versions {
		if which == AllVersions {
			carried[v.Number] = true
		}
		if !v.Modified.Before(newest.Modified) {
			newest = v
		}
	}
	for _, in := range live {
		carried[in.Effective], carried[in.Pending] = true, true
	}
	carried[newest.Number] = true
	return slices.DeleteFunc(slices.Sorted(maps.Keys(carried)), func(n int64) bool {
		_, there := version(versions, n)
		return !there // 0, and versions that were deleted while they were live
	})
}

func listVersions(ctx context.Context, account Account, p cloudlet.Policy) ([]Version, error) {
	text, err := account.Get(ctx, p.API.Versions(p.ID, false))
	if err != nil {
		return nil, err
	}
	all, err := cloudlet.ParseList(text, cloudlet.ParseVersion)
	if err != nil {
		return nil, err
	}
	versions := make([]Version, 0, len(all))
	for _, v := range all {
		if !v.Deleted {
			versions = append(versions, Version{
				Number: v.Number, Description: v.Description, Created: createdOf(v.Raw), Modified: cloudlet.When(v.Modified), By: v.ModifiedBy,
			})
		}
	}
	slices.SortFunc(versions, func(a, b Version) int { return cmp.Compare(a.Number, b.Number) })
	return versions, nil
}

// liveOf tells what is live, and what was.
func liveOf(ctx context.Context, account Account, p cloudlet.Policy) (live map[cloudlet.Network]cloudlet.InForce, past map[cloudlet.Network][]Past, err error) {
	text, err := account.Get(ctx, p.API.Activations(p.ID))
	if err != nil {
		return nil, nil, err
	}
	rows, err := cloudlet.ParseList(text, cloudlet.ParseActivation)
	if err != nil {
		return nil, nil, err
	}
	live, past = map[cloudlet.Network]cloudlet.InForce{}, map[cloudlet.Network][]Past{}
	for _, on := range networks() {
		live[on] = cloudlet.InForceOn(rows, on)
	}
	for _, r := range rows {
		if r.Status == cloudlet.Active || !r.Off && r.Status == cloudlet.Deactivated {
			past[r.Network] = append(past[r.Network], Past{r.Version, r.At, r.Off, r.By})
		}
	}
	return live, past, nil
}

// usesOf are the properties that use a legacy policy (Cloudlets API v2, Get associated properties for a policy). A network
// on which a property does not refer to the policy is left out.
func usesOf(ctx context.Context, account Account, p cloudlet.Policy) ([]Use, error) {
	text, err := account.Get(ctx, p.API.Properties(p.ID))
	if err != nil {
		return nil, err
	}
	type use struct {
		Version  int64    `json:"version"`
		Policies []string `json:"referencedPolicies"` // nil: not told
	}
	var byName map[string]struct {
		Group      int64 `json:"groupId"`
		Newest     *use  `json:"newestVersion"`
		Staging    *use  `json:"staging"`
		Production *use  `json:"production"`
	}
	if err := json.Unmarshal(text, &byName); err != nil {
		return nil, fmt.Errorf("read properties: %w", err)
	}
	var uses []Use
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		in := byName[name]
		found := false
		for on, u := range map[cloudlet.Network]*use{cloudlet.Staging: in.Staging, cloudlet.Production: in.Production} {
			if u != nil && (u.Policies == nil || slices.Contains(u.Policies, p.Name)) {
				uses = append(uses, Use{Property: name, Group: in.Group, Network: on, Version: u.Version, Policies: u.Policies})
				found = true
			}
		}
		if in.Newest != nil && !found {
			former := in.Newest.Policies != nil && !slices.Contains(in.Newest.Policies, p.Name)
			uses = append(uses, Use{Property: name, Group: in.Group, Version: in.Newest.Version, Policies: in.Newest.Policies, Former: former})
		}
	}
	slices.SortFunc(uses, func(a, b Use) int {
		return cmp.Or(cmp.Compare(a.Property, b.Property), -cmp.Compare(a.Network, b.Network)) // staging before production
	})
	return uses, nil
}

// Complete reads the shared policies of these names, whole, and what is needed to compare them with their legacy
// policies.
func (e *Estate) Complete(ctx context.Context, account Account, names map[int64]string, limit int) error {
	var mu sync.Mutex
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(max(limit, 1))
	for i := range e.Legacy {
		l := &e.Legacy[i]
		s, there := e.Names[names[l.ID]]
		if !there || l.Unread != "" {
			continue
		}
		reads.Go(func() error {
			if err := l.excuse(ctx, s.Policy, s.read(ctx, account)); err != nil || l.Unread != "" {
				return err
			}
			if err := l.excuse(ctx, l.Policy, l.readRest(ctx, account, s)); err != nil || l.Unread != "" {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			e.Pairs[s.Name] = s
			return nil
		})
	}
	return reads.Wait()
}

func (s *Shared) read(ctx context.Context, account Account) (err error) {
	s.By, s.Created = makerOf(s.Policy), createdOf(s.Raw)
	if s.Live, s.Past, err = liveOf(ctx, account, s.Policy); err != nil {
		return err
	}
	s.Versions, err = sharedVersions(ctx, account, s.Policy)
	return err
}

// sharedVersions are the versions of a shared policy with their hashes.
func sharedVersions(ctx context.Context, account Account, p cloudlet.Policy) ([]Version, error) {
	versions, err := listVersions(ctx, account, p)
	if err != nil {
		return nil, err
	}
	for i := range versions {
		v := &versions[i]
		doc, err := account.Get(ctx, p.API.Version(p.ID, v.Number))
		if err != nil {
			return nil, err
		}
		v.Rules = cloudlet.CountRules(doc)
		if v.Hash, err = importer.Hash(importer.Policy{API: cloudlet.V3, Type: p.Type}, doc); err != nil {
			return nil, fmt.Errorf("version %d: %w", v.Number, err)
		}
	}
	return versions, nil
}

// readRest reads the versions that are not carried where the shared policy has versions that are none of those.
func (l *Legacy) readRest(ctx context.Context, account Account, s Shared) error {
	if _, _, extra := match(carriedOf(*l), s.Versions); len(extra) == 0 {
		return nil
	}
	for _, v := range l.Versions {
		if v.Hash != "" {
			continue
		}
		if err := l.readVersion(ctx, account, v.Number, false); err != nil {
			return err
		}
	}
	return nil
}

// createdOf is when a policy or version was made, by its entry in a list; the zero time where that does not say.
func createdOf(raw json.RawMessage) time.Time {
	var doc struct {
		Legacy json.Number `json:"createDate"`
		Shared string      `json:"createdDate"`
	}
	if json.Unmarshal(raw, &doc) != nil {
		return time.Time{}
	}
	return cloudlet.When(cmp.Or(doc.Legacy.String(), doc.Shared))
}

// makerOf is who made a policy.
func makerOf(p cloudlet.Policy) string {
	var doc struct {
		By string `json:"createdBy"`
	}
	if json.Unmarshal(p.Raw, &doc) != nil {
		return ""
	}
	return doc.By
}
