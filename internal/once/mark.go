package once

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"unicode/utf16"
)

// A marker is [cmig:RUN/ITEM], short enough to leave a description its room and of characters that no API changes.
const (
	markerRun  = 8
	markerItem = 64
	markerSum  = 12 // hexadecimal digits that tell items apart whose names had to be changed
)

var (
	markers = regexp.MustCompile(`\[cmig:[0-9A-Za-z_.-]{1,8}/[0-9A-Za-z_.:/~-]{1,64}\]`)
	unfit   = regexp.MustCompile(`[^0-9A-Za-z_.:/-]`)
)

// Marker names an item of a run in the account: [cmig:<run8>/<item>], at most 80 characters, all of them ASCII. Items
// with different names have different markers: a name with other characters than letters, digits and "_.:/-", or with
// more than 64, is made to fit and ends with a part of its hash.
func Marker(run, item string) string {
	run = strings.NewReplacer("/", "_", ":", "_").Replace(unfit.ReplaceAllString(run, "_"))
	name := unfit.ReplaceAllString(item, "_")
	if name != item || len(name) > markerItem || name == "" {
		sum := sha256.Sum256([]byte(item))
		name = name[:min(len(name), markerItem-markerSum-1)] + "~" + hex.EncodeToString(sum[:])[:markerSum]
	}
	return "[cmig:" + run[:min(len(run), markerRun)] + "/" + name + "]"
}

// Mark puts the marker behind the description, which is cut on a rune boundary so that both fit limit characters. A
// character is counted as the API may count it, as one or two units of UTF-16. The marker is kept whole in any case. An
// empty marker leaves the description as it is.
func Mark(description, marker string, limit int) string {
	if marker == "" {
		return description
	}
	if description == "" {
		return marker
	}
	room := limit - len(marker) - 1
	for at, r := range description {
		if room -= max(utf16.RuneLen(r), 1); room < 0 {
			description = description[:at]
			break
		}
	}
	if description == "" {
		return marker
	}
	return description + " " + marker
}

// MarkOf finds the last marker in a description, wherever somebody may have moved it, and gives the description without
// it: what Mark was given, unless that was cut. ok is false where there is no marker; rest is the description then.
func MarkOf(description string) (marker, rest string, ok bool) {
	all := markers.FindAllStringIndex(description, -1)
	if len(all) == 0 {
		return "", description, false
	}
	at := all[len(all)-1]
	return description[at[0]:at[1]], strings.TrimSuffix(description[:at[0]], " ") + description[at[1]:], true
}
