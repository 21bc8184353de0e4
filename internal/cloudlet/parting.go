package cloudlet

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parting is where two values differ. A side on which there is nothing is nil.
type parting struct {
	pointer     string
	left, right []byte
	note        string
}

func (p *parting) under(name string) *parting {
	p.pointer = "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name) + p.pointer
	return p
}

func (p *parting) String() string {
	left, right := AppendCompact(nil, p.left), AppendCompact(nil, p.right)
	same := 0
	for same < min(len(left), len(right)) && left[same] == right[same] {
		same++
	}
	pointer := shorten([]byte(p.pointer), 0, 4*valueRoom)
	return pointer + ": " + shorten(left, same, valueRoom) + " against " + shorten(right, same, valueRoom) + p.note
}

const valueRoom = 60

// shorten shows about as many bytes of a value as there is room for, among them those at the index at.
func shorten(value []byte, at, room int) string {
	if len(value) == 0 {
		return "nothing"
	}
	start := 0
	if before := room / 3; len(value) > room && at > before {
		start = min(at-before, len(value)-room)
	}
	end := min(start+room, len(value))
	for range utf8.UTFMax - 1 { // cut between characters
		if start > 0 && !utf8.RuneStart(value[start]) {
			start--
		}
		if end < len(value) && !utf8.RuneStart(value[end]) {
			end++
		}
	}
	text := oneLine(string(value[start:end]))
	if start > 0 {
		text = "..." + text
	}
	if end < len(value) {
		text += "..."
	}
	return text
}

// oneLine is a JSON text made safe for one line of a message.
func oneLine(text string) string { return Printable(text) }

// part finds where two values part first, or nothing when they are equal.
func part(a, b *node) *parting {
	switch {
	case a.kind != b.kind || !bytes.Equal(a.text, b.text):
		return &parting{left: a.raw, right: b.raw}
	case a.kind == '{':
		return partMembers(a.kids, b.kids)
	}
	for i := range min(len(a.kids), len(b.kids)) {
		if p := part(&a.kids[i], &b.kids[i]); p != nil {
			return p.under(strconv.Itoa(i))
		}
	}
	return partTails(a.kids, b.kids, func(n node) []byte { return n.raw })
}

// partTails is for arrays that are equal as far as both go.
func partTails[E any](a, b []E, raw func(E) []byte) *parting {
	end := strconv.Itoa(min(len(a), len(b)))
	switch {
	case len(a) > len(b):
		return (&parting{left: raw(a[len(b)])}).under(end)
	case len(a) < len(b):
		return (&parting{right: raw(b[len(a)])}).under(end)
	}
	return nil
}

func partMembers(a, b []node) *parting {
	for i, j := 0, 0; i < len(a) || j < len(b); {
		var p *parting
		var name []byte
		switch order := compareNames(a[i:], b[j:]); {
		case order < 0:
			p, name = &parting{left: a[i].raw}, a[i].name
		case order > 0:
			p, name = &parting{right: b[j].raw}, b[j].name
		default:
			p, name = part(&a[i], &b[j]), a[i].name
		}
		if p != nil {
			if repeated(a, name) || repeated(b, name) {
				p.note = " (a name given more than once)"
			}
			return p.under(string(name))
		}
		i, j = i+1, j+1
	}
	return nil
}

// compareNames orders the first members of two lists, an empty one last.
func compareNames(a, b []node) int {
	switch {
	case len(b) == 0:
		return -1
	case len(a) == 0:
		return 1
	}
	return bytes.Compare(a[0].name, b[0].name)
}

func repeated(members []node, name []byte) bool {
	found := 0
	for i := range members {
		if bytes.Equal(members[i].name, name) {
			found++
		}
	}
	return found > 1
}
