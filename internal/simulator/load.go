package simulator

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Load reads an account from a folder in the snapshot layout, or from one JSON file: an object whose members are named
// like that folder's files and hold their documents. What is loaded is served as it is until it is changed. The folder's
// policy.json is authoritative; names of folders do not matter. Errors name the file.
//
//	account/{groups,cloudlets,shared-cloudlets,properties}.json
//	legacy/ID_NAME/{policy,properties,activations}.json  versions/N.json
//	shared/ID_NAME/{policy,properties,activations}.json  versions/N.json
//	origins/ID/{origin,activations}.json                 versions/N.json
func Load(name string) (*Account, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("load account: %w", err)
	}
	var files map[string][]byte
	if info.IsDir() {
		files, err = readFolder(name)
	} else {
		files, err = readBundle(name)
	}
	if err != nil {
		return nil, fmt.Errorf("load account from %s: %w", name, err)
	}
	l := &loader{account: newAccount(), files: files}
	if err := l.load(); err != nil {
		return nil, fmt.Errorf("load account from %s: %w", name, err)
	}
	return l.account, nil
}

func readFolder(name string) (map[string][]byte, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	err = fs.WalkDir(root.FS(), ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !inLayout(file) {
			return err
		}
		text, err := fs.ReadFile(root.FS(), file)
		files[file] = text
		return err
	})
	return files, errors.Join(err, root.Close())
}

func readBundle(name string) (map[string][]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	var documents map[string]json.RawMessage
	if err := json.Unmarshal(text, &documents); err != nil {
		return nil, fmt.Errorf("expected an object of documents by path: %w", err)
	}
	files := map[string][]byte{}
	for file, document := range documents {
		if inLayout(file) {
			files[file] = document
		}
	}
	return files, nil
}

// inLayout leaves out what stands beside the documents: manifest.json, index.csv, versions.json, sheets.
func inLayout(file string) bool {
	parts := strings.Split(file, "/")
	if path.Ext(file) != ".json" || len(parts) < 2 || path.Base(file) == "versions.json" {
		return false
	}
	return slices.Contains([]string{"account", "legacy", "shared", "origins"}, parts[0])
}

type loader struct {
	account *Account
	files   map[string][]byte
}

func (l *loader) load() error {
	if len(l.files) == 0 {
		return errors.New("no file of the snapshot layout is there")
	}
	if err := l.loadAccount(); err != nil {
		return err
	}
	for _, folder := range l.folders() {
		load := l.loadOrigin
		if !strings.HasPrefix(folder, "origins/") {
			load = l.loadPolicy
		}
		if err := load(folder); err != nil {
			return err
		}
	}
	return nil
}

// folders are those of policies and origins, in the order of their names.
func (l *loader) folders() []string {
	seen := map[string]bool{}
	var all []string
	for file := range l.files {
		parts := strings.SplitN(file, "/", 3)
		if len(parts) < 3 || parts[0] == "account" || seen[parts[0]+"/"+parts[1]] {
			continue
		}
		folder := parts[0] + "/" + parts[1]
		seen[folder] = true
		all = append(all, folder)
	}
	slices.Sort(all)
	return all
}

// array is a file that holds a list of objects; an absent file is nil.
func (l *loader) array(file string) ([][]byte, error) {
	text, there := l.files[file]
	if !there {
		return nil, nil
	}
	elements, err := parseArray(text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	for i, element := range elements {
		if element[0] != '{' {
			return nil, fmt.Errorf("read %s: element %d is %s, not an object", file, i, kindOf(element))
		}
	}
	return elements, nil
}

func (l *loader) objects(file string) ([]object, error) {
	elements, err := l.array(file)
	objects := make([]object, len(elements))
	for i, element := range elements {
		objects[i] = splitObject(element)
	}
	return objects, err
}

func (l *loader) object(file string) (object, error) {
	o, err := parseObject(l.files[file])
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return o, nil
}

func (l *loader) loadAccount() (err error) {
	a := l.account
	if a.groups, err = l.objects("account/groups.json"); err != nil {
		return err
	}
	for file, to := range map[string]*[][]byte{
		"account/cloudlets.json": &a.cloudlets, "account/shared-cloudlets.json": &a.sharedCloudlets,
	} {
		if elements, err := l.array(file); err != nil {
			return err
		} else if elements != nil {
			*to = elements
		}
	}
	if _, there := l.files["account/properties.json"]; there {
		a.properties, err = l.object("account/properties.json")
	}
	return err
}

func (l *loader) loadPolicy(folder string) error {
	file := folder + "/policy.json"
	if _, there := l.files[file]; !there {
		return fmt.Errorf("read %s: the file is missing", file)
	}
	doc, err := l.object(file)
	if err != nil {
		return err
	}
	p := &policy{shared: strings.HasPrefix(folder, "shared/"), name: doc.text("name"), deleted: doc.is("deleted")}
	p.group, _ = doc.number("groupId")
	key, others := "policyId", &l.account.legacy
	p.code = doc.text("cloudletCode")
	if p.shared {
		key, others, p.code = "id", &l.account.shared, doc.text("cloudletType")
	}
	id, isNumber := doc.number(key)
	switch {
	case !isNumber:
		return fmt.Errorf("read %s: %s is missing or no integer", file, key)
	case others.byID[id] != nil:
		return fmt.Errorf("read %s: %s %d is that of another policy", file, key, id)
	}
	p.id = id
	p.held = &heldPolicy{doc: doc}
	if p.held.rows, err = l.objects(folder + "/activations.json"); err != nil {
		return err
	}
	if err := l.loadProperties(p, folder+"/properties.json"); err != nil {
		return err
	}
	if err := l.loadVersions(p, folder+"/versions/"); err != nil {
		return err
	}
	for _, row := range p.held.rows {
		if n, is := row.number("id"); is {
			l.account.nextActivation = max(l.account.nextActivation, n+1)
		}
	}
	l.account.addPolicy(p)
	return nil
}

func (l *loader) loadProperties(p *policy, file string) (err error) {
	if _, there := l.files[file]; !there {
		return nil
	}
	if p.shared {
		p.held.listed, err = l.array(file)
		return err
	}
	p.held.properties, err = l.object(file)
	return err
}

func (l *loader) loadVersions(p *policy, folder string) error {
	for file := range l.files {
		if path.Dir(file)+"/" != folder {
			continue
		}
		doc, err := l.object(file)
		if err != nil {
			return err
		}
		n, err := numberOf(file, doc)
		if err != nil {
			return err
		}
		held := &heldVersion{doc: doc}
		if doc.has("matchRules") {
			if held.rules, err = loadRules(doc.get("matchRules")); err != nil {
				return fmt.Errorf("read %s: matchRules: %w", file, err)
			}
			held.doc = doc.set("matchRules", nil)
		}
		for _, key := range []string{"revisionId", "id"} {
			if id, is := doc.number(key); is {
				l.account.nextRevision = max(l.account.nextRevision, id+1)
			}
		}
		p.versions = append(p.versions, version{number: n, deleted: doc.is("deleted"), held: held})
	}
	slices.SortFunc(p.versions, func(x, y version) int { return cmp.Compare(x.number, y.number) })
	for i := 1; i < len(p.versions); i++ {
		if p.versions[i].number == p.versions[i-1].number {
			return fmt.Errorf("read %s: version %d is there twice", folder, p.versions[i].number)
		}
	}
	return nil
}

// numberOf is the version's number, as the document says or else the file's name.
func numberOf(file string, doc object) (int64, error) {
	if n, is := doc.number("version"); is {
		return n, nil
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(path.Base(file), ".json"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: version is missing or no integer", file)
	}
	return n, nil
}

// loadOrigin takes origin.json as an object or, as the old document prints it, as an array of one.
func (l *loader) loadOrigin(folder string) error {
	file := folder + "/origin.json"
	text, there := l.files[file]
	if !there {
		return fmt.Errorf("read %s: the file is missing", file)
	}
	if elements, err := parseArray(text); err == nil && len(elements) == 1 {
		l.files[file] = elements[0]
	}
	doc, err := l.object(file)
	if err != nil {
		return err
	}
	o := &origin{id: doc.text("originId"), kind: doc.text("type"), doc: doc}
	switch {
	case o.id == "":
		return fmt.Errorf("read %s: originId is missing", file)
	case l.account.origin(o.id) != nil:
		return fmt.Errorf("read %s: originId %q is that of another origin", file, o.id)
	}
	if o.rows, err = l.objects(folder + "/activations.json"); err != nil {
		return err
	}
	for file := range l.files {
		if path.Dir(file) != folder+"/versions" {
			continue
		}
		doc, err := l.object(file)
		if err != nil {
			return err
		}
		n, err := numberOf(file, doc)
		if err != nil {
			return err
		}
		o.versions = append(o.versions, heldOrigin{n, doc})
	}
	slices.SortFunc(o.versions, func(x, y heldOrigin) int { return cmp.Compare(x.number, y.number) })
	l.account.origins = append(l.account.origins, o)
	return nil
}
