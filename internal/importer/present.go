package importer

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/once"
)

// Present is what there is in the account, as far as it matters to what is wanted.
type Present struct {
	Kinds map[cloudlet.API]cloudlet.Kinds
	// Groups are those of the account; nil where they may not be listed.
	Groups []cloudlet.Group
	// Policies are those with a wanted name, by Policy.Key, origins too.
	Policies map[string]Held
	// Origins are the ids of all origins that the account has, with their types; nil where they may not be listed.
	Origins map[string]string
	// Properties are the names of those that may be associated with legacy policies; nil where they were not looked for, or may
	// not be listed.
	Properties map[string]bool
	// Owned are the names of policies that belong to one of the wanted sets of chunks and are not wanted.
	Owned []string
	// Unread says what could not be listed and so is not checked.
	Unread []Note
}

// Held is a policy that is present, or an origin, whose ID is 0.
type Held struct {
	ID          int64
	Name        string
	Description string
	Type        string
	Group       int64
	Versions    []HeldVersion // ascending, without deleted ones
	Newest      int64         // the highest number, of deleted ones too where they are listed
	Live        map[cloudlet.Network]cloudlet.InForce
	// Compared says how the rules of the chunk that is wanted differ from those of the newest version and of the one that
	// is effective on production, ascending.
	Compared []Comparison
	// Associated are the properties of a legacy policy; nil where they were not looked for, or may not be listed.
	Associated []string
	// Unassociated are the wanted properties for which a legacy policy is not active.
	Unassociated map[cloudlet.Network][]string
}

// blank reports whether the policy is as v2 makes it: with an empty version 1, which nobody has activated.
func (h Held) blank() bool {
	for _, in := range h.Live {
		if in.Effective != 0 || in.Pending != 0 {
			return false
		}
	}
	return len(h.Versions) == 1 && h.Newest == 1 && h.Versions[0].Empty
}

// HeldVersion is a version that is present.
type HeldVersion struct {
	Number      int64
	Description string
	Hash        string
	Empty       bool // it has no rules and no description, as the version 1 that v2 makes with a policy
}

// Look reads what is present. With the source of the chunks that are wanted it reads of each policy's versions but the
// newest and the one that is effective on production, and compares them with the chunk; without one (nil) it reads them
// all. No document is kept: limit bounds the reads under way, and with them the documents in memory.
func Look(ctx context.Context, account Account, wanted []Policy, chunks Source, limit int) (Present, error) {
	l := looker{account: account, chunks: chunks, limit: max(limit, 1), comparing: make(chan struct{}, runtime.GOMAXPROCS(0)), present: Present{
		Kinds: map[cloudlet.API]cloudlet.Kinds{}, Policies: map[string]Held{},
	}}
	for _, step := range []func(context.Context, []Policy) error{l.kinds, l.groups, l.properties, l.origins, l.policies} {
		if err := step(ctx, wanted); err != nil {
			return l.present, err
		}
	}
	return l.present, nil
}

type looker struct {
	account Account
	chunks  Source // nil: all versions are wanted
	limit   int
	present Present
	// comparing bounds the comparisons under way, which take more memory than the documents and keep a processor busy each.
	comparing chan struct{}
}

// Optional reads what an account may refuse to list; nil then, and unread gets a note of what is unchecked for that.
func Optional(ctx context.Context, account Account, r cloudlet.Resource, what, unchecked string, unread *[]Note) ([]byte, error) {
	text, err := account.Get(ctx, r)
	if err != nil && allowed(err) == nil {
		*unread = append(*unread, Note{what, "cannot be listed, so " + unchecked + ": " + err.Error()})
		return nil, nil
	}
	return text, err
}

func (l *looker) optional(ctx context.Context, r cloudlet.Resource, what, unchecked string) ([]byte, error) {
	return Optional(ctx, l.account, r, what, unchecked, &l.present.Unread)
}

func apisOf(wanted []Policy) []cloudlet.API {
	var apis []cloudlet.API
	for _, api := range []cloudlet.API{cloudlet.V2, cloudlet.V3} {
		if slices.ContainsFunc(wanted, func(p Policy) bool { return p.API == api }) {
			apis = append(apis, api)
		}
	}
	return apis
}

func (l *looker) kinds(ctx context.Context, wanted []Policy) error {
	for _, api := range apisOf(wanted) {
		text, err := l.optional(ctx, api.Cloudlets(), "cloudlets of "+string(api), "those of the documents are taken")
		if err != nil {
			return err
		}
		l.present.Kinds[api] = api.DocumentedKinds()
		if text == nil {
			continue
		}
		kinds, err := cloudlet.ParseKinds(text)
		if err != nil {
			return err
		}
		l.present.Kinds[api] = kinds
	}
	return nil
}

func (l *looker) groups(ctx context.Context, _ []Policy) error {
	text, err := l.optional(ctx, cloudlet.Groups(), "groups", "groups and capabilities are not checked")
	if err != nil || text == nil {
		return err
	}
	groups, err := cloudlet.ParseList(text, cloudlet.ParseGroup)
	l.present.Groups = append([]cloudlet.Group{}, groups...)
	return err
}

// properties reads which there are, if a legacy policy is to be activated for one: those of the groups, and those that are
// associated already.
func (l *looker) properties(ctx context.Context, wanted []Policy) error {
	if !slices.ContainsFunc(wanted, func(p Policy) bool { return p.API == cloudlet.V2 && len(p.properties()) > 0 }) || l.present.Groups == nil {
		return nil
	}
	text, err := l.optional(ctx, cloudlet.AccountProperties(), "properties", "those that policies are to be active for are not checked")
	if err != nil || text == nil {
		return err
	}
	l.present.Properties = map[string]bool{}
	for name := range cloudlet.Members(text) {
		l.present.Properties[name] = true
	}
	for _, g := range l.present.Groups {
		for _, name := range g.Properties {
			l.present.Properties[name] = true
		}
	}
	return nil
}

// properties are those that a policy is to be active for.
func (p Policy) properties() []string {
	var names []string
	for _, on := range []cloudlet.Network{cloudlet.Staging, cloudlet.Production} {
		names = appendNew(names, p.Live[on].Properties...)
	}
	return names
}

// origins reads which there are, if a wanted policy names one.
func (l *looker) origins(ctx context.Context, wanted []Policy) error {
	if !slices.ContainsFunc(wanted, func(p Policy) bool { return p.IsOrigin() || len(p.Origins)+len(p.Forwards) > 0 }) {
		return nil
	}
	text, err := l.optional(ctx, cloudlet.AllOrigins(), "origins", "those that rules forward to are not checked")
	if err != nil || text == nil {
		return err
	}
	var docs []json.RawMessage
	if err := json.Unmarshal(text, &docs); err != nil {
		return fmt.Errorf("read origins: %w", err)
	}
	l.present.Origins = map[string]string{}
	for _, doc := range docs {
		id := textOf(doc, "originId")
		l.present.Origins[id] = textOf(doc, "type")
		if l.present.Origins[id] == balancing {
			l.present.Policies[Policy{Name: id}.Key()] = Held{Name: id, Description: textOf(doc, "description")}
		}
	}
	return nil
}

// balancing is the type of an origin that has load-balancing versions.
const balancing = "APPLICATION_LOAD_BALANCER"

func (l *looker) policies(ctx context.Context, wanted []Policy) error {
	byKey := map[string]Policy{}
	owners := map[string]bool{}
	for _, p := range wanted {
		byKey[p.Key()] = p
		owners[p.Owner] = p.Owner != ""
	}
	for _, api := range apisOf(wanted) {
		all, err := ListPolicies(ctx, l.account, api)
		if err != nil {
			return err
		}
		for _, p := range all {
			key := Policy{API: api, Name: p.Name}.Key()
			if _, ok := byKey[key]; ok {
				l.present.Policies[key] = Held{ID: p.ID, Name: p.Name, Description: p.Description, Type: p.Type, Group: p.GroupID}
			} else if owner := ownerOf(p.Description); owners[owner] {
				l.present.Owned = append(l.present.Owned, p.String())
			}
		}
	}
	for key := range l.present.Policies {
		if _, ok := byKey[key]; !ok {
			delete(l.present.Policies, key)
		}
	}
	return l.held(ctx, byKey)
}

// ListPolicies gives the policies of an API, without deleted ones.
func ListPolicies(ctx context.Context, account Account, api cloudlet.API) ([]cloudlet.Policy, error) {
	text, err := account.Get(ctx, api.Policies(false))
	if err != nil {
		return nil, err
	}
	return cloudlet.ParsePolicies(api, text)
}

// ownerOf is the set of chunks that a policy's description says it belongs to; empty for none. The marker of a run that
// was cut off does not count.
func ownerOf(description string) string {
	_, description, _ = once.MarkOf(description)
	i := strings.LastIndex(description, OwnerMark("")[:len(OwnerMark(""))-1])
	if i < 0 || !strings.HasSuffix(description, "]") {
		return ""
	}
	return description[i+len(OwnerMark(""))-1 : len(description)-1]
}

// place is what a held policy or origin is called in the API.
type place struct {
	p  Policy
	id int64
}

func (x place) versions(deleted bool) cloudlet.Resource {
	if x.p.IsOrigin() {
		return cloudlet.OriginVersions(x.p.Name)
	}
	return x.p.API.Versions(x.id, deleted)
}

func (x place) version(n int64) cloudlet.Resource {
	if x.p.IsOrigin() {
		return cloudlet.OriginVersion(x.p.Name, n)
	}
	return x.p.API.Version(x.id, n)
}

func (x place) activations() cloudlet.Resource {
	if x.p.IsOrigin() {
		return cloudlet.OriginActivations(x.p.Name)
	}
	return x.p.API.Activations(x.id)
}

// list is the versions there are, ascending.
func (x place) list(ctx context.Context, account Account) ([]cloudlet.Version, error) {
	text, err := account.Get(ctx, x.versions(true))
	if err != nil {
		return nil, err
	}
	all, err := cloudlet.ParseList(text, cloudlet.ParseVersion)
	slices.SortFunc(all, func(a, b cloudlet.Version) int { return int(a.Number - b.Number) })
	return all, err
}

// lookup is a policy that is present while it is read.
type lookup struct {
	place
	held     Held
	versions []cloudlet.Version
	unread   []Note
}

// held reads what the policies that are present hold. First the lists of all, then their versions: both with as many reads
// under way as may be, however many versions one of them has.
func (l *looker) held(ctx context.Context, byKey map[string]Policy) error {
	var found []*lookup
	for _, key := range slices.Sorted(maps.Keys(l.present.Policies)) {
		held := l.present.Policies[key]
		found = append(found, &lookup{place: place{byKey[key], held.ID}, held: held})
	}
	if err := each(ctx, l.limit, slices.Values(found), l.lists); err != nil {
		return err
	}
	if err := each(ctx, l.limit, l.reads(found), l.read); err != nil {
		return err
	}
	for _, f := range found {
		f.held.Compared = slices.DeleteFunc(f.held.Compared, func(c Comparison) bool { return c.With == "" })
		l.present.Policies[f.p.Key()] = f.held
		l.present.Unread = append(l.present.Unread, f.unread...)
	}
	return nil
}

// each does something for all items, at most limit at the same time, and ends with the first error.
func each[T any](ctx context.Context, limit int, items iter.Seq[T], do func(context.Context, T) error) error {
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	for item := range items {
		if within.Err() != nil {
			break
		}
		group.Go(func() error { return do(within, item) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// lists reads which versions a policy has, what is live of it, and the properties that an activation would be for.
func (l *looker) lists(ctx context.Context, f *lookup) error {
	all, err := f.list(ctx, l.account)
	if err != nil {
		return err
	}
	text, err := l.account.Get(ctx, f.activations())
	if err != nil {
		return err
	}
	rows, err := cloudlet.ParseList(text, cloudlet.ParseActivation)
	if err != nil {
		return err
	}
	f.held.Live = map[cloudlet.Network]cloudlet.InForce{}
	for _, on := range []cloudlet.Network{cloudlet.Staging, cloudlet.Production} {
		f.held.Live[on] = cloudlet.InForceOn(rows, on)
		lacks, err := activate.Unassociated(ctx, l.account, activate.Target{
			API: f.p.API, Policy: f.held.ID, Name: f.p.Name, Network: on, Properties: f.p.Live[on].Properties,
		}, rows)
		if err != nil {
			return err
		}
		if len(lacks) > 0 {
			if f.held.Unassociated == nil {
				f.held.Unassociated = map[cloudlet.Network][]string{}
			}
			f.held.Unassociated[on] = lacks
		}
	}
	if len(all) > 0 {
		f.held.Newest = all[len(all)-1].Number
	}
	f.versions = slices.DeleteFunc(all, func(v cloudlet.Version) bool { return v.Deleted })
	f.held.Versions = make([]HeldVersion, len(f.versions))
	for i, v := range f.versions {
		f.held.Versions[i] = HeldVersion{Number: v.Number, Description: v.Description}
	}
	f.held.Compared = make([]Comparison, len(f.versions))
	return l.associated(ctx, f)
}

// associated reads the properties of a legacy policy that is to be active where none is named.
func (l *looker) associated(ctx context.Context, f *lookup) error {
	nameless := func(live Live) bool { return len(live.Properties) == 0 }
	if f.p.API != cloudlet.V2 || !slices.ContainsFunc(slices.Collect(maps.Values(f.p.Live)), nameless) {
		return nil
	}
	text, err := l.account.Get(ctx, f.p.API.Properties(f.id))
	if err != nil {
		if allowed(err) == nil {
			f.unread = append(f.unread, Note{"properties of " + f.p.String(), "cannot be listed, so whether it can be activated is not checked: " + err.Error()})
		}
		return allowed(err)
	}
	f.held.Associated = []string{}
	for name := range cloudlet.Members(text) {
		f.held.Associated = append(f.held.Associated, name)
	}
	return nil
}

// read is one version of a policy that is to be read, by its place among them.
type read struct {
	*lookup
	i int
}

// compareWith says what the version is, of those that a chunk is compared with; empty for others.
func (r read) compareWith() string {
	var with []string
	if r.i == len(r.versions)-1 {
		with = append(with, "newest")
	}
	if r.versions[r.i].Number == r.held.Live[cloudlet.Production].Effective {
		with = append(with, "production")
	}
	return strings.Join(with, " and ")
}

// reads are the versions that have to be read.
func (l *looker) reads(found []*lookup) iter.Seq[read] {
	return func(yield func(read) bool) {
		for _, f := range found {
			for i := range f.versions {
				if r := (read{f, i}); (l.chunks == nil || r.compareWith() != "") && !yield(r) {
					return
				}
			}
		}
	}
}

func (l *looker) read(ctx context.Context, r read) error {
	h, doc, err := readHeld(ctx, l.account, r.place, r.versions[r.i])
	if err != nil {
		return err
	}
	r.held.Versions[r.i] = h
	if l.chunks == nil || r.p.Refused != "" || r.held.Type != r.p.Type {
		return nil
	}
	l.comparing <- struct{}{}
	defer func() { <-l.comparing }()
	if err := ctx.Err(); err != nil {
		return err
	}
	r.held.Compared[r.i], err = r.compare(l.chunks, h, doc)
	return err
}

// readHeld reads a version; it gives the document too.
func readHeld(ctx context.Context, account Account, x place, v cloudlet.Version) (HeldVersion, []byte, error) {
	h := HeldVersion{Number: v.Number, Description: v.Description}
	doc, err := account.Get(ctx, x.version(v.Number))
	if err != nil {
		return h, nil, err
	}
	if h.Hash, err = Hash(x.p, doc); err != nil {
		return h, nil, fmt.Errorf("read version %d of %s: %w", v.Number, x.p, err)
	}
	h.Empty = !x.p.IsOrigin() && v.Description == "" && cloudlet.CountRules(doc) == 0
	return h, doc, nil
}
