package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloudletmig/internal/cloudlet"
)

func listPolicies(ctx context.Context, from reader, o listOptions, _ []string) (listing, error) {
	all, err := policies(ctx, from, o)
	if err != nil {
		return listing{}, err
	}
	l := listing{header: []string{"API", "ID", "NAME", "TYPE", "GROUP", "STAGING", "PRODUCTION", "DESCRIPTION"}}
	for _, p := range all {
		staging, production := current(p)
		l.add(p.Raw, string(p.API), strconv.FormatInt(p.ID, 10), p.Name, p.Type, strconv.FormatInt(p.GroupID, 10), staging, production, p.Description)
	}
	return l, nil
}

// current says in a word what the policy's own entry tells of each network: the version, with what is pending.
func current(p cloudlet.Policy) (staging, production string) {
	rows := cloudlet.CurrentActivations(p)
	show := func(n cloudlet.InForce) string {
		text := ""
		if n.Effective != 0 {
			text = strconv.FormatInt(n.Effective, 10)
		}
		if n.Pending != 0 {
			text += fmt.Sprintf(" (pending %d)", n.Pending)
		}
		return strings.TrimSpace(text)
	}
	return show(cloudlet.InForceOn(rows, cloudlet.Staging)), show(cloudlet.InForceOn(rows, cloudlet.Production))
}

func listVersions(ctx context.Context, from reader, o listOptions, args []string) (listing, error) {
	p, err := find(ctx, from, o, args[0])
	if err != nil {
		return listing{}, err
	}
	text, err := from.Get(ctx, p.API.Versions(p.ID, o.Deleted))
	if err != nil {
		return listing{}, err
	}
	versions, err := cloudlet.ParseList(text, cloudlet.ParseVersion)
	if err != nil {
		return listing{}, err
	}
	slices.SortFunc(versions, func(a, b cloudlet.Version) int { return int(b.Number - a.Number) })
	l := listing{header: []string{"VERSION", "MODIFIED", "BY", "LOCKED", "DELETED", "DESCRIPTION"}}
	for _, v := range versions {
		l.add(v.Raw, strconv.FormatInt(v.Number, 10), date(cloudlet.When(v.Modified)), v.ModifiedBy, yes(v.Locked), yes(v.Deleted), v.Description)
	}
	return l, nil
}

func listActivations(ctx context.Context, from reader, o listOptions, args []string) (listing, error) {
	p, err := find(ctx, from, o, args[0])
	if err != nil {
		return listing{}, err
	}
	text, err := from.Get(ctx, p.API.Activations(p.ID))
	if err != nil {
		return listing{}, err
	}
	rows, err := cloudlet.ParseList(text, cloudlet.ParseActivation)
	if err != nil {
		return listing{}, err
	}
	l := listing{header: []string{"NETWORK", "VERSION", "STATUS", "OPERATION", "DATE", "BY", "PROPERTY"}}
	for _, r := range rows {
		operation := "activation"
		if r.Off {
			operation = "deactivation"
		}
		l.add(r.Raw, string(r.Network), strconv.FormatInt(r.Version, 10), string(r.Status), operation, date(r.At), r.By, r.Property)
	}
	return l, nil
}

func listProperties(ctx context.Context, from reader, _ listOptions, _ []string) (listing, error) {
	text, err := from.Get(ctx, cloudlet.AccountProperties())
	if err != nil {
		return listing{}, err
	}
	var byName map[string]json.RawMessage
	if err := json.Unmarshal(text, &byName); err != nil {
		return listing{}, fmt.Errorf("read properties: %w", err)
	}
	l := listing{header: []string{"PROPERTY", "GROUP", "NEWEST", "STAGING", "PRODUCTION", "POLICIES"}}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		type use struct {
			Version  json.Number `json:"version"`
			Policies []string    `json:"referencedPolicies"`
		}
		var p struct {
			GroupID    json.Number `json:"groupId"`
			Newest     use         `json:"newestVersion"`
			Staging    use         `json:"staging"`
			Production use         `json:"production"`
		}
		if err := json.Unmarshal(byName[name], &p); err != nil {
			return listing{}, fmt.Errorf("read property %s: %w", name, err)
		}
		names := slices.Concat(p.Newest.Policies, p.Staging.Policies, p.Production.Policies)
		slices.Sort(names)
		l.add(byName[name], name, p.GroupID.String(), p.Newest.Version.String(), p.Staging.Version.String(), p.Production.Version.String(),
			strings.Join(slices.Compact(names), " "))
	}
	return l, nil
}

func listGroups(ctx context.Context, from reader, _ listOptions, _ []string) (listing, error) {
	text, err := from.Get(ctx, cloudlet.Groups())
	if err != nil {
		return listing{}, err
	}
	groups, err := cloudlet.ParseList(text, cloudlet.ParseGroup)
	if err != nil {
		return listing{}, err
	}
	l := listing{header: []string{"GROUP", "ID", "CLOUDLETS"}, tree: true}
	for _, g := range cloudlet.GroupTree(groups) {
		l.add(g.Raw, strings.Repeat("  ", g.Depth)+g.Name, strconv.FormatInt(g.ID, 10), g.Capabilities)
	}
	return l, nil
}

func listOrigins(ctx context.Context, from reader, _ listOptions, _ []string) (listing, error) {
	text, err := from.Get(ctx, cloudlet.Origins())
	if err != nil {
		return listing{}, err
	}
	var raws []json.RawMessage
	if err := json.Unmarshal(text, &raws); err != nil {
		return listing{}, fmt.Errorf("read origins: %w", err)
	}
	l := listing{header: []string{"ORIGIN", "TYPE", "DESCRIPTION"}}
	for _, raw := range raws {
		var o struct {
			ID          string `json:"originId"`
			Type        string `json:"type"`
			Description string `json:"description"`
		}
		if err := json.Unmarshal(raw, &o); err != nil {
			return listing{}, fmt.Errorf("read origin: %w", err)
		}
		l.add(raw, o.ID, o.Type, o.Description)
	}
	return l, nil
}

func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02 15:04:05Z")
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
