package importer

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/snapshot"
)

func appendNew(to []string, more ...string) []string {
	for _, s := range more {
		if s != "" && !slices.Contains(to, s) {
			to = append(to, s)
		}
	}
	return to
}

// ruleOrigins are the load-balancing origins that match rules forward to.
func ruleOrigins(doc []byte) []string {
	rules, _, err := split(doc)
	if err != nil {
		return nil
	}
	var ids []string
	for rule := range cloudlet.Elements(rules) {
		for name, value := range cloudlet.Members(rule) {
			if name == "forwardSettings" {
				ids = appendNew(ids, textOf(value, "originId"))
			}
		}
	}
	return ids
}

// dataCenterOrigins are the origins that a load-balancing version shares requests among.
func dataCenterOrigins(doc []byte) []string {
	var ids []string
	for name, value := range cloudlet.Members(doc) {
		if name != "dataCenters" {
			continue
		}
		for center := range cloudlet.Elements(value) {
			ids = appendNew(ids, textOf(center, "originId"))
		}
	}
	return ids
}

// textOf is the text of a member of an object; empty where it has none.
func textOf(object []byte, member string) string {
	for name, value := range cloudlet.Members(object) {
		if name == member {
			text, _ := cloudlet.Text(value)
			return text
		}
	}
	return ""
}

// addOrigins puts the snapshot's load-balancing origins that wanted policies use before these.
func (r *snapshotReader) addOrigins(wanted []Policy) ([]Policy, error) {
	var used []string
	for _, w := range wanted {
		used = appendNew(used, w.Origins...)
	}
	var origins []Policy
	for name := range r.s.Manifest.Files {
		if path.Base(name) != snapshot.OriginFile {
			continue
		}
		doc, err := r.s.Read(name)
		if err != nil {
			return nil, err
		}
		id := textOf(doc, "originId")
		if id == "" {
			return nil, errors.New(name + ": there is no originId")
		}
		if kind := textOf(doc, "type"); !slices.Contains(used, id) || kind != "" && kind != balancing {
			continue
		}
		o := Policy{Name: id, Description: textOf(doc, "description"), Source: "origin " + cloudlet.Printable(id)}
		dir := path.Dir(name)
		rows, err := r.rows(dir, o.Source)
		if err == nil {
			o.Live = r.live(rows)
			err = r.addVersions(&o, dir, rows)
		}
		if err != nil {
			return nil, fmt.Errorf("origin %s: %w", cloudlet.Printable(id), err)
		}
		origins = append(origins, o)
	}
	slices.SortFunc(origins, func(a, b Policy) int { return strings.Compare(a.Name, b.Name) })
	return append(origins, wanted...), nil
}
