package snapshot

import (
	"cmp"
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloudletmig/internal/cloudlet"
)

// Row is the line of one policy in index.csv.
type Row struct {
	API        cloudlet.API `json:"api"`
	ID         int64        `json:"id"`
	Name       string       `json:"name"`
	Type       string       `json:"type"`
	GroupID    int64        `json:"group"`
	Deleted    bool         `json:"deleted,omitempty"`
	Versions   int          `json:"versions"` // in the policy's list, exported or not
	Newest     int64        `json:"newest"`
	Staging    cloudlet.InForce
	Production cloudlet.InForce
	Properties []string `json:"properties,omitempty"`
	Rules      int      `json:"rules"` // of all exported versions
	Bytes      int64    `json:"bytes"` // of all files of the policy
}

func columns() []string {
	return []string{
		"api", "id", "name", "type", "group", "deleted", "versions", "newest",
		"staging", "staging_since", "staging_by", "staging_pending",
		"production", "production_since", "production_by", "production_pending", "properties", "rules", "bytes",
	}
}

// writeIndex writes index.csv: one line per policy, by API and id. Cells that a spreadsheet would take for a formula
// begin with an apostrophe.
func writeIndex(to io.Writer, rows []*Row) error {
	slices.SortFunc(rows, func(a, b *Row) int { return cmp.Or(cmp.Compare(a.API, b.API), cmp.Compare(a.ID, b.ID)) })
	w := csv.NewWriter(to)
	if err := w.Write(columns()); err != nil {
		return err
	}
	for _, r := range rows {
		cells := []string{
			string(r.API), strconv.FormatInt(r.ID, 10), r.Name, r.Type, strconv.FormatInt(r.GroupID, 10),
			strconv.FormatBool(r.Deleted), strconv.Itoa(r.Versions), number(r.Newest),
		}
		for _, n := range []cloudlet.InForce{r.Staging, r.Production} {
			cells = append(cells, number(n.Effective), since(n), n.By, number(n.Pending))
		}
		cells = append(cells, strings.Join(r.Properties, " "), strconv.Itoa(r.Rules), strconv.FormatInt(r.Bytes, 10))
		for i, cell := range cells {
			cells[i] = Guard(cell)
		}
		if err := w.Write(cells); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// number is empty for 0: there is no version 0.
func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func since(n cloudlet.InForce) string {
	if n.Since.IsZero() {
		return ""
	}
	return n.Since.UTC().Format(time.RFC3339)
}

// Guard keeps a spreadsheet from taking a cell for a formula; for files that are meant for people.
func Guard(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
