package activate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloudletmig/internal/cloudlet"
)

// row is one activation of the history.
type row struct {
	cloudlet.Activation
	id int64 // v3
}

// history reads all activations of the target's policy or origin, on all networks, newest first as the API lists them.
func (q *Queue) history(ctx context.Context, t Target) ([]row, error) {
	text, err := q.account.Get(ctx, t.history())
	if err != nil {
		return nil, fmt.Errorf("read the activations of %s: %w", t.Place(), err)
	}
	rows, err := cloudlet.ParseList(text, parseRow)
	if err != nil {
		return nil, fmt.Errorf("read the activations of %s: %w", t.Place(), err)
	}
	return rows, nil
}

func parseRow(raw json.RawMessage) (row, error) {
	a, err := cloudlet.ParseActivation(raw)
	if err != nil {
		return row{}, err
	}
	var doc struct {
		ID int64 `json:"id"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return row{}, fmt.Errorf("read activation: %w", err)
	}
	return row{a, doc.ID}, nil
}

// is reports whether the row is of what t wants.
func (r row) is(t Target) bool {
	return r.Network == t.Network && r.Version == t.Version && r.Off == t.Off
}

// name is what the journal calls the row.
func (r row) name() string {
	if r.id != 0 {
		return strconv.FormatInt(r.id, 10)
	}
	return fmt.Sprintf("%d@%d", r.Version, r.At.UnixMilli())
}

// details are the API's own words about how the activation went, on one line; empty where it has none.
func (r row) details() string {
	var doc struct {
		Failure json.RawMessage `json:"failureDetails"` // v3: a text, or something not documented
		Status  string          `json:"statusDetail"`   // origins
		Policy  struct {
			Status string `json:"statusDetail"`
		} `json:"policyInfo"` // v2
	}
	if json.Unmarshal(r.Raw, &doc) != nil {
		return ""
	}
	text := ""
	if json.Unmarshal(doc.Failure, &text) != nil {
		text = string(doc.Failure)
	}
	parts := []string{}
	for _, part := range []string{text, doc.Status, doc.Policy.Status} {
		if part = strings.Join(strings.Fields(part), " "); part != "" {
			parts = append(parts, cloudlet.Printable(part))
		}
	}
	if r.Property != "" && len(parts) > 0 {
		parts[len(parts)-1] += " (property " + cloudlet.Printable(r.Property) + ")"
	}
	return strings.Join(parts, "; ")
}

// inForce is the version that is effective on the network, 0 for none.
func inForce(rows []row, on cloudlet.Network) int64 {
	return cloudlet.InForceOn(plain(rows), on).Effective
}

func plain(rows []row) []cloudlet.Activation {
	out := make([]cloudlet.Activation, len(rows))
	for i, r := range rows {
		out[i] = r.Activation
	}
	return out
}

// Mark is a place in the history of one network. Rows after it are those that are dated later, those of the same date that
// were not there (v2 has been seen to give days), and all that are under way: when a mark is made nothing is.
type Mark struct {
	At   time.Time `json:"at,omitzero"`
	Rows []string  `json:"rows,omitempty"` // those of that date
}

// sign tells rows of one date apart.
func (r row) sign() string {
	return fmt.Sprintf("%d/%d/%t/%s", r.id, r.Version, r.Off, r.Property)
}

func markOf(rows []row, on cloudlet.Network) Mark {
	var m Mark
	for _, r := range rows {
		if r.Network != on || r.Status == cloudlet.Pending {
			continue
		}
		if r.At.After(m.At) {
			m = Mark{At: r.At}
		}
		if r.At.Equal(m.At) {
			m.Rows = append(m.Rows, r.sign())
		}
	}
	return m
}

// after gives the rows of the network that are later than the mark, in their order.
func (m Mark) after(rows []row, on cloudlet.Network) []row {
	known := slices.Clone(m.Rows)
	var later []row
	for _, r := range slices.Backward(rows) { // oldest first: among equals those that were there come before
		switch {
		case r.Network != on:
			continue
		case r.Status == cloudlet.Pending, r.At.After(m.At):
		case r.At.Equal(m.At):
			if i := slices.Index(known, r.sign()); i >= 0 {
				known = slices.Delete(known, i, i+1)
				continue
			}
		default:
			continue
		}
		later = append(later, r)
	}
	slices.Reverse(later)
	return later
}
