package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cloudletmig/internal/cloudlet"
)

// diffItems finds the policies of a snapshot and, on demand, its origins.
func (s *Snapshot) diffItems(origins bool) ([]*diffItem, error) {
	found := map[string]*diffItem{}
	at := func(folder string) *diffItem {
		if found[folder] == nil {
			found[folder] = &diffItem{versions: map[int64]string{}}
		}
		return found[folder]
	}
	for path, f := range s.Manifest.Files {
		parts := strings.SplitN(path, "/", 3)
		if len(parts) < 3 || parts[0] != legacy && parts[0] != shared && (parts[0] != lbal || !origins) {
			continue
		}
		folder := parts[0] + "/" + parts[1]
		switch rest := parts[2]; {
		case rest == PolicyFile || rest == OriginFile:
			at(folder).document = path
		case rest == ActivationsFile:
			at(folder).activations = path
		case f.Listed != "":
			number, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(rest, "versions/"), ".json"), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%w: %s is no version's file", ErrDamaged, path)
			}
			at(folder).versions[number] = path
		}
	}
	items := make([]*diffItem, 0, len(found))
	for _, folder := range slices.Sorted(maps.Keys(found)) {
		item := found[folder]
		if err := s.describe(item, folder); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// describe reads what a policy or an origin is called.
func (s *Snapshot) describe(item *diffItem, folder string) error {
	if item.document == "" {
		return fmt.Errorf("%w: %s has no document of its own", ErrDamaged, folder)
	}
	doc, err := s.readJSON(item.document)
	if err != nil {
		return err
	}
	if strings.HasPrefix(folder, lbal+"/") {
		for name, value := range cloudlet.Members(doc) {
			if id, ok := cloudlet.Text(value); ok && name == "originId" {
				item.policy.Name = id
			}
		}
		return nil
	}
	api := cloudlet.V2
	if strings.HasPrefix(folder, shared+"/") {
		api = cloudlet.V3
	}
	if item.policy, err = cloudlet.ParsePolicy(api, doc); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, item.document, err)
	}
	item.policy.Raw = nil
	return nil
}

// readJSON reads a document whose soundness others rely on.
func (s *Snapshot) readJSON(path string) ([]byte, error) {
	doc, err := s.Read(path)
	if err == nil && !cloudlet.ValidJSON(doc) {
		err = fmt.Errorf("%w: %s is no valid JSON", ErrDamaged, path)
	}
	return doc, err
}
