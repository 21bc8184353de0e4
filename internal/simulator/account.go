package simulator

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Account is what the simulated API holds: groups, policies with versions and activations, properties and origins.
// It is safe for concurrent use, also while a Server serves it.
type Account struct {
	mu    sync.RWMutex
	clock func() time.Time
	user  string

	cloudlets, sharedCloudlets [][]byte
	groups                     []object
	properties                 object // by property name (Cloudlets API v2, List associated properties)
	legacy, shared             policies
	origins                    []*origin
	source                     source

	nextPolicy, nextRevision, nextActivation int64

	jobs     []job        // activations under way
	earliest atomic.Int64 // when the first of them is due, in Unix nanoseconds; 0 when there is none
}

// job is something that the account does by itself at a time.
type job struct {
	at  time.Time
	run func(at time.Time)
}

// policies are those of one API, by ascending id.
type policies struct {
	list []*policy
	byID map[int64]*policy
}

type policy struct {
	id       int64
	shared   bool
	name     string
	code     string // cloudletCode or cloudletType
	group    int64
	deleted  bool
	versions []version   // by ascending number, deleted ones too
	used     int64       // the highest number ever used, when that version is gone
	held     *heldPolicy // nil: the account's source makes it whenever it is asked for
}

type heldPolicy struct {
	doc        object
	rows       []object // the activation history, newest first
	properties object   // v2: by property name
	listed     [][]byte // v3: one text for each property
}

type version struct {
	number  int64
	deleted bool
	held    *heldVersion // nil: the account's source makes it
}

type heldVersion struct {
	doc   object // the version as it is answered; the member matchRules, if any, has no value of its own
	rules ruleList
}

// source makes policies and versions that nobody has changed yet, always the same ones for the same arguments.
type source interface {
	policy(p *policy) *heldPolicy
	version(p *policy, v *version) *heldVersion
}

type origin struct {
	id       string
	kind     string
	doc      object
	versions []heldOrigin // by ascending number
	rows     []object     // newest first
}

type heldOrigin struct {
	number int64
	doc    object
}

func newAccount() *Account {
	return &Account{
		clock: time.Now, user: "simulator",
		cloudlets: legacyCloudlets(), sharedCloudlets: sharedCloudlets(),
		legacy: policies{byID: map[int64]*policy{}}, shared: policies{byID: map[int64]*policy{}},
		nextPolicy: 1001, nextRevision: 10001, nextActivation: 300001,
	}
}

// NewAccount is an account with all cloudlets of the documents and no group, policy or origin.
func NewAccount() *Account { return newAccount() }

func (ps *policies) add(p *policy) {
	ps.list = append(ps.list, p)
	ps.byID[p.id] = p
	if n := len(ps.list); n > 1 && ps.list[n-2].id > p.id {
		slices.SortFunc(ps.list, func(x, y *policy) int { return cmp.Compare(x.id, y.id) })
	}
}

func (ps *policies) remove(id int64) {
	delete(ps.byID, id)
	ps.list = slices.DeleteFunc(ps.list, func(p *policy) bool { return p.id == id })
}

// named is the policy that is not deleted and has the name, or nil. Case counts.
func (ps *policies) named(name string) *policy {
	for _, p := range ps.list {
		if p.name == name && !p.deleted {
			return p
		}
	}
	return nil
}

// addPolicy takes a policy in and keeps the account's next id above it.
func (a *Account) addPolicy(p *policy) {
	if p.shared {
		a.shared.add(p)
	} else {
		a.legacy.add(p)
	}
	a.nextPolicy = max(a.nextPolicy, p.id+1)
}

// view is the policy for reading.
func (a *Account) view(p *policy) *heldPolicy {
	if p.held != nil {
		return p.held
	}
	return a.source.policy(p)
}

// hold is the policy for changing: from now on it is kept, and so are its versions, since what is made up of them
// follows from what the policy was before.
func (a *Account) hold(p *policy) *heldPolicy {
	if p.held == nil {
		p.held = a.source.policy(p)
		for i := range p.versions {
			a.holdVersion(p, &p.versions[i])
		}
	}
	return p.held
}

func (a *Account) viewVersion(p *policy, v *version) *heldVersion {
	if v.held != nil {
		return v.held
	}
	return a.source.version(p, v)
}

func (a *Account) holdVersion(p *policy, v *version) *heldVersion {
	if v.held == nil {
		v.held = a.source.version(p, v)
	}
	return v.held
}

// version is the version of that number, deleted or not, or nil.
func (p *policy) version(number int64) *version {
	i, found := slices.BinarySearchFunc(p.versions, number, func(v version, n int64) int { return cmp.Compare(v.number, n) })
	if !found {
		return nil
	}
	return &p.versions[i]
}

// next is the number of the version to be created: numbers grow and are never reused.
func (p *policy) next() int64 {
	used := p.used
	if n := len(p.versions); n > 0 {
		used = max(used, p.versions[n-1].number)
	}
	return used + 1
}

// dropVersion removes a version for good. Its number stays used.
func (a *Account) dropVersion(p *policy, n int64) {
	p.used = p.next() - 1
	p.versions = slices.DeleteFunc(p.versions, func(v version) bool { return v.number == n })
}

// newest is the version with the highest number that is not deleted, or nil.
func (p *policy) newest() *version {
	for i := len(p.versions) - 1; i >= 0; i-- {
		if !p.versions[i].deleted {
			return &p.versions[i]
		}
	}
	return nil
}

func (a *Account) origin(id string) *origin {
	for _, o := range a.origins {
		if o.id == id {
			return o
		}
	}
	return nil
}

func (a *Account) hasGroup(id int64) bool {
	return len(a.groups) == 0 || slices.ContainsFunc(a.groups, func(g object) bool {
		n, ok := g.number("groupId")
		return ok && n == id
	})
}

func (a *Account) revision() int64 {
	a.nextRevision++
	return a.nextRevision - 1
}

// after runs a change of the account once its clock has passed at. The lock is held by the caller, and by whoever runs it.
func (a *Account) after(at time.Time, run func(at time.Time)) {
	a.jobs = append(a.jobs, job{at, run})
	slices.SortStableFunc(a.jobs, func(x, y job) int { return x.at.Compare(y.at) })
	a.earliest.Store(a.jobs[0].at.UnixNano())
}

// settle runs what is due.
func (a *Account) settle(now time.Time) {
	due := a.earliest.Load()
	if due == 0 || now.UnixNano() < due {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.jobs) > 0 && !a.jobs[0].at.After(now) {
		j := a.jobs[0]
		a.jobs = a.jobs[1:]
		j.run(j.at)
	}
	a.earliest.Store(0)
	if len(a.jobs) > 0 {
		a.earliest.Store(a.jobs[0].at.UnixNano())
	}
}

// Counts are the numbers of things in an account. Policies, Versions and Rules leave deleted ones out.
type Counts struct {
	Policies, Versions, Rules, Origins, OriginVersions int
	DeletedPolicies, DeletedVersions                   int // DeletedVersions are those of policies that are not deleted
}

// Counts makes every version once to count its rules.
func (a *Account) Counts() Counts {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var c Counts
	for _, p := range slices.Concat(a.legacy.list, a.shared.list) {
		if p.deleted {
			c.DeletedPolicies++
			continue
		}
		c.Policies++
		for i := range p.versions {
			if p.versions[i].deleted {
				c.DeletedVersions++
				continue
			}
			c.Versions++
			c.Rules += a.viewVersion(p, &p.versions[i]).rules.count()
		}
	}
	c.Origins = len(a.origins)
	for _, o := range a.origins {
		c.OriginVersions += len(o.versions)
	}
	return c
}

// find is the policy of that id in either API; shared ones first.
func (a *Account) find(id int64) (*policy, error) {
	if p := a.shared.byID[id]; p != nil {
		return p, nil
	}
	if p := a.legacy.byID[id]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("find policy %d: not in the account", id)
}
