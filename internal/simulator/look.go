package simulator

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// PolicyInfo is what an account holds of one policy.
type PolicyInfo struct {
	ID       int64
	Shared   bool
	Name     string
	Type     string
	Group    int64
	Deleted  bool
	Versions []int64 // ascending, without deleted ones
	Hidden   []int64 // deleted versions, ascending
}

// Policies lists all policies, v2 before v3, by ascending id, deleted ones too.
func (a *Account) Policies() []PolicyInfo {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var all []PolicyInfo
	for _, p := range slices.Concat(a.legacy.list, a.shared.list) {
		info := PolicyInfo{ID: p.id, Shared: p.shared, Name: p.name, Type: p.code, Group: p.group, Deleted: p.deleted}
		for _, v := range p.versions {
			if v.deleted {
				info.Hidden = append(info.Hidden, v.number)
			} else {
				info.Versions = append(info.Versions, v.number)
			}
		}
		all = append(all, info)
	}
	return all
}

// Origins lists the ids of all origins in the order in which the API lists them.
func (a *Account) Origins() []string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	ids := make([]string, len(a.origins))
	for i, o := range a.origins {
		ids[i] = o.id
	}
	return ids
}

// VersionText is the version as the API would answer it now.
func (a *Account) VersionText(id, number int64) ([]byte, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	p, err := a.find(id)
	if err != nil {
		return nil, err
	}
	v := p.version(number)
	if v == nil {
		return nil, fmt.Errorf("find version %d of policy %d: not in the account", number, id)
	}
	return a.renderVersion(p, v, false).joined(), nil
}

// SetClock replaces the clock by which changes from outside are dated. New sets it to its Options.Clock.
func (a *Account) SetClock(now func() time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clock = now
}

// Activated is one row of a policy's activation history, in the words of v3.
type Activated struct {
	Network string // staging or production
	Version int64
	Status  string // as the API spells it, in capitals
}

// Activations is the activation history of a policy, newest first.
func (a *Account) Activations(id int64) ([]Activated, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	p, err := a.find(id)
	if err != nil {
		return nil, err
	}
	var all []Activated
	for _, o := range a.view(p).rows {
		if p.shared {
			n, _ := o.number("policyVersion")
			all = append(all, Activated{strings.ToLower(o.text("network")), n, o.text("status")})
			continue
		}
		r := readRow(o)
		if r.network == "prod" {
			r.network = "production"
		}
		all = append(all, Activated{r.network, r.version, r.status})
	}
	return all, nil
}
