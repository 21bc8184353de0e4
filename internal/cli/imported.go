package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/importer"
)

const importedFile = "imported.json"

// imported is imported.json: what became of each chunk. A later import with the same --out knows by it which policies are
// its own.
type imported struct {
	Format   int              `json:"format"`
	Policies []importedPolicy `json:"policies"`
}

type importedPolicy struct {
	API     cloudlet.API               `json:"api"`
	Policy  string                     `json:"policy"`
	ID      int64                      `json:"id"`
	File    string                     `json:"file"`
	Version int64                      `json:"version,omitempty"` // that has the chunk's rules
	Active  map[cloudlet.Network]int64 `json:"active,omitempty"`  // the version that is live, whether it is that one or not
}

// ids are those of the policies of an API.
func (m imported) ids(api cloudlet.API) map[int64]bool {
	ids := map[int64]bool{}
	for _, p := range m.Policies {
		if p.API == api {
			ids[p.ID] = true
		}
	}
	return ids
}

// readImported reads what an earlier import left in its folder; the zero value where there is nothing. A folder with
// anything else in it is refused.
func readImported(dir string) (imported, error) {
	var m imported
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, &usageError{text: "--out: " + err.Error()}
	}
	for _, e := range entries {
		if name := e.Name(); name != importedFile && name != chunkset.PropertyFile && !durable.IsTemp(name) {
			return m, &usageError{text: fmt.Sprintf("--out %s: the folder holds %s, which import did not write", dir, cloudlet.Printable(name)), hint: "name a new or empty folder"}
		}
	}
	folder, err := durable.Open(dir)
	if err != nil {
		return m, err
	}
	text, err := folder.ReadFile(importedFile)
	err = errors.Join(err, folder.Close())
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil || m.Format != 1 {
		return m, &usageError{text: fmt.Sprintf("--out %s: %s cannot be read as one of format 1: %v", dir, importedFile, err)}
	}
	return m, nil
}

// write writes imported.json, and property-rules.json once the id of every policy is known.
func (in *chunkInput) write(dir string, o importOptions, plan importer.Plan, results []importer.Result, earlier imported) (err error) {
	m := imported{Format: 1, Policies: []importedPolicy{}}
	ids := map[string]int64{}
	for i, r := range results { // one for each of the plan
		if r.ID == 0 {
			continue
		}
		p := importedPolicy{API: r.API, Policy: r.Name, ID: r.ID, File: r.Source, Active: liveNow(plan.Policies[i], r)}
		for _, v := range r.Versions {
			p.Version = v.To
		}
		m.Policies = append(m.Policies, p)
		ids[r.Name] = r.ID
	}
	for _, old := range earlier.Policies { // policies of an earlier import that no chunk is for any more are still ours
		if ids[old.Policy] != old.ID {
			m.Policies = append(m.Policies, old)
		}
	}
	folder, err := durable.Create(dir)
	if err != nil {
		return unwritable(err)
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	text, err := cloudlet.Marshal(m, "  ")
	if err != nil {
		return err
	}
	if err := putFile(folder, importedFile, append(text, '\n')); err != nil {
		return err
	}
	if in.set == nil || len(ids) < len(in.chunks) {
		return folder.Sync(importedFile)
	}
	rules, err := in.set.Property()
	if err != nil {
		return err
	}
	if shared := bytes.Contains(rules, []byte(`"cloudletSharedPolicy"`)); shared != (o.API == string(cloudlet.V3)) {
		rules = chunkset.PropertyRules(in.set.Dispatch, cloudlet.API(o.API)) // it was converted for the other API
	}
	if rules, err = chunkset.SetPolicyIDs(rules, ids); err != nil {
		return err
	}
	if err := putFile(folder, chunkset.PropertyFile, rules); err != nil {
		return err
	}
	return folder.Sync(importedFile, chunkset.PropertyFile)
}

// liveNow says what is live of a policy: what was when the plan was made, and what was activated since.
func liveNow(p importer.Planned, r importer.Result) map[cloudlet.Network]int64 {
	live := map[cloudlet.Network]int64{}
	for on, versions := range p.Over {
		if versions[0] != 0 {
			live[on] = versions[0]
		}
	}
	maps.Copy(live, r.Active)
	return live
}

func putFile(folder *durable.Folder, name string, content []byte) error {
	_, _, err := folder.Write(name, func(to io.Writer) error {
		_, err := to.Write(content)
		return err
	})
	return err
}
