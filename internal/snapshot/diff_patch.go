package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/wI2L/jsondiff"

	"cloudletmig/internal/cloudlet"
)

// Operation is one operation of a JSON Patch (RFC 6902).
type Operation struct {
	Op    string          `json:"op"`
	From  string          `json:"from,omitempty"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value,omitempty"`
}

// rulesPath is where a version has its rules.
const rulesPath = "/matchRules"

func rulePath(i int) string { return fmt.Sprintf("%s/%d", rulesPath, i) }

// patch makes the list b of the list a: first what is removed, from the end on, then rule by rule of b what is added
// or moved, behind the rule before it, at last the members of changed rules.
func (m *matching) patch() []Operation {
	var ops []Operation
	if len(m.a) == 0 { // it may be null, or absent
		ops = append(ops, Operation{Op: jsondiff.OperationAdd, Path: rulesPath, Value: json.RawMessage("[]")})
	}
	var list []int // rules of a that stand there now; of those that were added, -1
	for i, partner := range slices.Backward(m.ofA) {
		if partner < 0 {
			ops = append(ops, Operation{Op: jsondiff.OperationRemove, Path: rulePath(i)})
		} else {
			list = append(list, i)
		}
	}
	slices.Reverse(list)
	end := 0 // list[:end] ends with b's rule before this one; rules that are still to move may stand between
	for j, r := range m.b {
		i := m.ofB[j]
		switch {
		case i < 0:
			list = slices.Insert(list, end, -1)
			ops = append(ops, Operation{Op: jsondiff.OperationAdd, Path: rulePath(end), Value: cloudlet.AppendCompact(nil, r.text)})
		case m.stays[i]:
			end += slices.Index(list[end:], i)
		default:
			at := slices.Index(list, i)
			if at < end {
				end--
			}
			if at != end {
				list = slices.Insert(slices.Delete(list, at, at+1), end, i)
				ops = append(ops, Operation{Op: jsondiff.OperationMove, From: rulePath(at), Path: rulePath(end)})
			}
		}
		end++
	}
	for j, r := range m.b {
		if i := m.ofB[j]; i >= 0 && m.a[i].hash != r.hash {
			ops = append(ops, patchRule(rulePath(j), m.a[i].text, r.text)...)
		}
	}
	return ops
}

// patchRule changes those members of a rule that differ; the whole rule where a name stands in it more than once.
func patchRule(path string, a, b []byte) []Operation {
	left, right := membersOf(a), membersOf(b)
	var ops []Operation
	for _, m := range diffRule(a, b) {
		if m.Name == "" || len(left[m.Name]) > 1 || len(right[m.Name]) > 1 {
			return []Operation{{Op: jsondiff.OperationReplace, Path: path, Value: cloudlet.AppendCompact(nil, b)}}
		}
		at := path + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(m.Name)
		switch {
		case m.A == nil:
			ops = append(ops, Operation{Op: jsondiff.OperationAdd, Path: at, Value: m.B})
		case m.B == nil:
			ops = append(ops, Operation{Op: jsondiff.OperationRemove, Path: at})
		default:
			ops = append(ops, patchValue(at, m.A, m.B)...)
		}
	}
	return ops
}

// patchValue changes one value into another, in parts where that loses nothing: numbers are json.Number all the way,
// and what Go's maps and strings cannot hold (half a surrogate pair, a name given twice) is replaced as a whole.
func patchValue(path string, a, b []byte) []Operation {
	whole := []Operation{{Op: jsondiff.OperationReplace, Path: path, Value: b}}
	if !survives(a) || !survives(b) {
		return whole
	}
	// Neither Factorize nor Equivalent: their hash leaves out json.Number, so that different values would be the same.
	found, err := jsondiff.CompareJSON(a, b, jsondiff.UnmarshalFunc(unmarshalExact))
	if err != nil || len(found) == 0 {
		return whole
	}
	ops := make([]Operation, 0, len(found))
	for _, op := range found {
		o := Operation{Op: op.Type, Path: path + op.Path}
		if op.Path == "" { // it adds the whole document where the kinds of values differ
			return whole
		}
		if op.Type != jsondiff.OperationRemove {
			if o.Value, err = cloudlet.Marshal(op.Value, ""); err != nil {
				return whole
			}
		}
		ops = append(ops, o)
	}
	return ops
}

// survives reports whether a value is still the same after it was decoded and encoded.
func survives(value []byte) bool {
	var decoded any
	if err := unmarshalExact(value, &decoded); err != nil {
		return false
	}
	encoded, err := cloudlet.Marshal(decoded, "")
	if err != nil {
		return false
	}
	grade, _ := cloudlet.CompareRules(inRule(value), inRule(encoded))
	return grade != cloudlet.Different
}

// inRule puts a value where nothing is forgiven but that null is absent.
func inRule(value []byte) []byte { return slices.Concat([]byte(`[{"x":[`), value, []byte("]}]")) }

// unmarshalExact is json.Unmarshal that keeps the text of numbers.
func unmarshalExact(text []byte, to any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return dec.Decode(to)
}
