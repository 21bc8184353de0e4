package upgrade

import (
	_ "embed" // the page of the report
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/snapshot"
)

// The files of a report.
const (
	ReportJSON = "report.json"
	ReportCSV  = "report.csv"
	ReportHTML = "report.html"
)

//go:embed report.html
var page string

// Report is what an upgrade came to.
type Report struct {
	Format   int       `json:"format"`
	Host     string    `json:"host"`
	Run      string    `json:"run"`
	Made     time.Time `json:"made"`
	Counts   []Counted `json:"counts"`
	Changed  int       `json:"changed_since_cloned"` // legacy policies that have what their shared ones lack
	Policies []Result  `json:"policies"`
	Cutovers []Cutover `json:"property_manager"`
	ByHand   []string  `json:"check_by_hand"`
}

// Counted is how many policies are at a stage.
type Counted struct {
	Name Stage `json:"stage"`
	N    int   `json:"policies"`
}

// NewReport sums up results.
func NewReport(host, run string, made time.Time, results []Result) Report {
	r := Report{Format: 1, Host: host, Run: run, Made: made.UTC().Truncate(time.Second), Policies: results, Cutovers: Cutovers(results), ByHand: ByHand()}
	for _, stage := range []Stage{StageLive, StageStaged, StageProved, StageCloned, StagePlanned, StageLeft, StageBlocked, StageConflict} {
		n := 0
		for _, x := range results {
			if x.Stage == stage {
				n++
			}
		}
		if n > 0 {
			r.Counts = append(r.Counts, Counted{stage, n})
		}
	}
	for _, x := range results {
		if x.State == Diverged || x.State == Behind && !x.caughtUp() {
			r.Changed++
		}
	}
	return r
}

// Write writes report.json, report.csv and report.html into a folder.
func (r Report) Write(folder *durable.Folder) error {
	text, err := cloudlet.Marshal(r, "  ")
	if err != nil {
		return err
	}
	for name, fill := range map[string]func(io.Writer) error{
		ReportJSON: func(to io.Writer) error { _, err := to.Write(append(text, '\n')); return err },
		ReportCSV:  r.csv,
		ReportHTML: r.html,
	} {
		if _, _, err := folder.Write(name, fill); err != nil {
			return err
		}
	}
	return folder.Sync(ReportJSON, ReportCSV, ReportHTML)
}

func (r Report) html(to io.Writer) error {
	t, err := template.New("report").Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(to, r)
}

// Sources are where the names of the behaviors come from.
func (r Report) Sources() []string {
	var sources []string
	for _, c := range r.Cutovers {
		if !slices.Contains(sources, c.Source) {
			sources = append(sources, c.Source)
		}
	}
	return sources
}

// csv is a line per policy, for people: what begins like a formula is guarded.
func (r Report) csv(to io.Writer) error {
	w := csv.NewWriter(to)
	rows := [][]string{{"legacy id", "legacy name", "type", "stage", "shared id", "shared name", "group", "versions", "active", "properties", "reason"}}
	for _, p := range r.Policies {
		var properties []string
		for _, u := range p.Uses {
			if !u.Former && !slices.Contains(properties, u.Property) {
				properties = append(properties, u.Property)
			}
		}
		row := []string{
			strconv.FormatInt(p.ID, 10), p.Name, p.Type, string(p.Stage), number(p.Shared), p.NewName, number(p.NewGroup), p.PairText(), p.ActiveText(),
			strings.Join(properties, " "), strings.Join(p.Notes(), "; "),
		}
		for i := range row {
			row[i] = snapshot.Guard(row[i])
		}
		rows = append(rows, row)
	}
	return w.WriteAll(rows)
}

// Notes are what people should know of it: why it is as it is, what differs, what went wrong.
func (r Result) Notes() []string {
	notes := []string{r.Why}
	if r.Action == Sync && r.caughtUp() {
		notes[0] = "was behind: " + r.Why
	}
	if r.Copied != "" {
		notes = append(notes, "copied, since the API refused to clone it: "+r.Copied)
	}
	for _, d := range r.Differences {
		notes = append(notes, d.Text)
	}
	if len(r.Differences) == 0 {
		notes = append(notes, r.Problem)
	}
	for _, u := range r.Uses {
		if u.Former {
			notes = append(notes, fmt.Sprintf("property %s is associated with it, and refers to it no more", cloudlet.Printable(u.Property)))
		}
	}
	return slices.DeleteFunc(notes, func(s string) bool { return s == "" })
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// PairText is the table of versions in a few words: "1 -> 1, 4 -> 2".
func (r Result) PairText() string {
	parts := make([]string, 0, len(r.Pairs))
	for _, p := range r.Pairs {
		parts = append(parts, fmt.Sprintf("%d -> %d", p.From, p.To))
	}
	return strings.Join(parts, ", ")
}

// ActiveText is what is live: "staging 2, production 1".
func (r Result) ActiveText() string { return strings.Join(r.ActiveParts(), ", ") }

// ActiveParts are the parts of ActiveText.
func (r Result) ActiveParts() []string {
	var parts []string
	for _, on := range networks() {
		if n := r.Active[on]; n != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", on, n))
		}
	}
	return parts
}
