// Package snapshot is the folder that an export leaves behind: its layout, its manifest and its index, how it is
// written, read, verified and compared. It knows no network and no database.
package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"strings"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
)

// The files at the top of a snapshot, and those about the account as a whole.
const (
	ManifestFile         = "manifest.json"
	IndexFile            = "index.csv"
	GroupsFile           = "account/groups.json"
	CloudletsFile        = "account/cloudlets.json"
	SharedCloudletsFile  = "account/shared-cloudlets.json"
	PropertiesFile       = "account/properties.json"
	PolicyFile           = "policy.json" // below a policy's folder, like the next two
	PolicyPropertiesFile = "properties.json"
	ActivationsFile      = "activations.json"
	OriginFile           = "origin.json" // below an origin's folder
	folderNameLimit      = 80
	legacy, shared, lbal = "legacy", "shared", "origins"
)

// Key names a policy whatever it is called at the moment: legacy/1001 or shared/1001.
func Key(api cloudlet.API, id int64) string {
	if api == cloudlet.V3 {
		return fmt.Sprintf("%s/%d", shared, id)
	}
	return fmt.Sprintf("%s/%d", legacy, id)
}

// PolicyFolder is the folder of a policy: legacy/ID_NAME or shared/ID_NAME. The id alone makes it unique, so NAME may be
// changed where a file system would refuse or fold it.
func PolicyFolder(p cloudlet.Policy) string { return Key(p.API, p.ID) + "_" + safeName(p.Name) }

// VersionFile is the file of one version below a policy's or an origin's folder.
func VersionFile(folder string, version int64) string {
	return fmt.Sprintf("%s/versions/%d.json", folder, version)
}

// SheetFile is the CSV sheet of one version below a policy's folder, beside its VersionFile.
func SheetFile(folder string, version int64) string {
	return fmt.Sprintf("%s/versions/%d%s", folder, version, sheetEnd)
}

const sheetEnd = ".csv"

// isSheet reports whether a file of a snapshot is the sheet of a version.
func isSheet(file string) bool { return strings.HasSuffix(file, sheetEnd) && file != IndexFile }

// KeyOf is the key of the item that a file belongs to, whatever the policy was called when it was written:
// legacy/1001/versions/3 for legacy/1001_NAME/versions/3.json and its sheet.
func KeyOf(file string) string {
	parts := strings.Split(strings.TrimSuffix(strings.TrimSuffix(file, ".json"), sheetEnd), "/")
	if len(parts) > 2 && parts[0] != lbal {
		parts[1], _, _ = strings.Cut(parts[1], "_")
	}
	return strings.Join(parts, "/")
}

// OriginFolders gives each origin id a folder of its own: origins/ID where the id is plain and no other differs from
// it in case alone, else a readable part and a part of the id's hash.
func OriginFolders(ids []string) map[string]string {
	folded := map[string]int{}
	for _, id := range ids {
		folded[strings.ToLower(id)]++
	}
	folders := make(map[string]string, len(ids))
	for _, id := range ids {
		name := safeName(id)
		if reserved(name) {
			name = "_" + name
		}
		if name != id || folded[strings.ToLower(id)] > 1 {
			sum := sha256.Sum256([]byte(id))
			name = fmt.Sprintf("%.40s~%s", name, hex.EncodeToString(sum[:6]))
		}
		folders[id] = path.Join(lbal, name)
	}
	return folders
}

// produced matches the paths that an export writes, manifest and index apart.
var produced = regexp.MustCompile(`^(account/[a-z-]+\.json|(legacy|shared)/[0-9]+_[^/]*/(policy|properties|activations)\.json|` +
	`origins/[^/]+/(origin|activations)\.json|(legacy/[0-9]+_[^/]*|shared/[0-9]+_[^/]*|origins/[^/]+)/versions/[0-9]+\.json|` +
	`(legacy|shared)/[0-9]+_[^/]*/versions/[0-9]+\.csv)$`)

// exported reports whether a file in a snapshot's folder is one that an export has written, not somebody else's.
func exported(name string) bool {
	return produced.MatchString(name) || name == ManifestFile || name == IndexFile || durable.IsTemp(name)
}

// safeName keeps of a name what every file system takes: ASCII letters, digits, '.', '_' and '-', no dot at either
// end, at most 80 characters.
func safeName(name string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
			return r
		default:
			return '_'
		}
	}, name)
	if len(safe) > folderNameLimit {
		safe = safe[:folderNameLimit]
	}
	if safe = strings.Trim(safe, "."); strings.HasPrefix(safe, "-") {
		return "_" + safe[1:] // it would pass for a flag
	}
	return safe
}

// reserved reports whether a name alone would be refused by a file system or be no name at all.
func reserved(name string) bool {
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	switch stem {
	case "", "CON", "PRN", "AUX", "NUL", "CLOCK$":
		return true
	}
	return len(stem) == 4 && (strings.HasPrefix(stem, "COM") || strings.HasPrefix(stem, "LPT"))
}
