package convert

import (
	"fmt"
	"hash/maphash"
	"strconv"

	"cloudletmig/internal/redirect"
)

// names gives every rule a name that no other has.
type names struct {
	sheets []*input
	seed   maphash.Seed
	taken  map[uint64]uint32 // by hash of a name: the last number put behind it; nil while no row has a name of its own
	number map[uint32]uint32 // what is put behind a name that was taken
	kept   map[uint32]string // names that an earlier conversion gave
}

// begin says for which sheets; own says that some rows have names of their own.
func (n *names) begin(sheets []*input, own bool) {
	n.sheets, n.seed, n.number, n.kept = sheets, maphash.MakeSeed(), map[uint32]uint32{}, map[uint32]string{}
	if own {
		n.taken = map[uint64]uint32{}
	}
}

// of is the name of a row's rule: its own, else its line, with a number behind it where that is taken.
func (n *names) of(row uint32, own string, line int) string {
	name := own
	if kept, ok := n.kept[row]; ok {
		name = kept
	} else if name == "" {
		name = n.fromLine(row, line)
	}
	if number, ok := n.number[row]; ok {
		return name + "-" + strconv.FormatUint(uint64(number), 10)
	}
	return name
}

// length is how many bytes a row's name takes in JSON, without its quotes.
func (n *names) length(row uint32, own string, line int) int {
	if own != "" || n.taken != nil || len(n.sheets) > 1 {
		return jsonLength(n.of(row, own, line))
	}
	digits := 1
	for ; line > 9; line /= 10 {
		digits++
	}
	return len("line ") + digits
}

// jsonLength is how many bytes a text takes in JSON, without its quotes.
func jsonLength(text string) int {
	for i := 0; i < len(text); i++ {
		if text[i] < ' ' || text[i] == '"' || text[i] == '\\' || text[i] >= 0x80 {
			empty := redirect.Rule{}
			named := redirect.Rule{Name: text}
			return len(named.AppendJSON(nil)) - len(empty.AppendJSON(nil))
		}
	}
	return len(text)
}

func (n *names) fromLine(row uint32, line int) string {
	if len(n.sheets) < 2 {
		return "line " + strconv.Itoa(line)
	}
	at := 0
	for i, s := range n.sheets {
		if int(row) >= s.first && s.rows > 0 {
			at = i
		}
	}
	return fmt.Sprintf("sheet %d line %d", at+1, line)
}

// settle makes sure that a row's name is its own, and says whether it had to be changed. Rows must come in order.
func (n *names) settle(row uint32, name string) bool {
	if n.take(name) {
		return false
	}
	hash := maphash.String(n.seed, name)
	for number := n.taken[hash] + 1; ; number++ {
		if n.take(name + "-" + strconv.FormatUint(uint64(number), 10)) {
			n.taken[hash], n.number[row] = number, number
			return true
		}
	}
}

// take takes a name, if nobody has.
func (n *names) take(name string) bool {
	hash := maphash.String(n.seed, name)
	if _, ok := n.taken[hash]; ok {
		return false
	}
	n.taken[hash] = 1
	return true
}
