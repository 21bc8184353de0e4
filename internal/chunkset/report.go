package chunkset

import "cloudletmig/internal/cloudlet"

// Report is report.json: where every row went and what was found.
type Report struct {
	Rows   Rows          `json:"rows"`
	Chunks []ReportChunk `json:"chunks"`
	// Counts are the problems of each code, all of them; Problems holds only the first 1,000 of each.
	Counts   map[string]int `json:"counts"`
	Problems []Problem      `json:"problems"`
	Proof    *Proof         `json:"proof"` // null when none was made
	Spread   int            `json:"spread"`
	Repeated int            `json:"repeated"` // rules that are in every chunk
	Existing int            `json:"existing"` // rules of a policy that the property uses today
	Slash    int            `json:"missingTwins"`
	Changes  *Changes       `json:"changes,omitempty"`
}

// Rows are the rows of all sheets. Read is the sum of Converted, Duplicates and Rejected; comments are not in it.
type Rows struct {
	Read       int `json:"read"`
	Converted  int `json:"converted"`
	Duplicates int `json:"duplicates"`
	Rejected   int `json:"rejected"`
	Comments   int `json:"comments"`
}

// ReportChunk is what one chunk holds. Rules is the sum of Own, Repeated and Existing; Bytes are those of the body with
// the longest description, SHA256 is that of the file.
type ReportChunk struct {
	File     string `json:"file"`
	Policy   string `json:"policy"`
	Rules    int    `json:"rules"`
	Own      int    `json:"own"`
	Repeated int    `json:"repeated"`
	Existing int    `json:"existing"`
	Bytes    int64  `json:"bytes"`
	SHA256   string `json:"sha256"`
}

// Problem is something about one row, or about a whole sheet where Line is 0.
type Problem struct {
	Sheet    string `json:"sheet"`
	Line     int    `json:"line"`
	Column   string `json:"column"` // as the sheet calls it
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
}

// Proof counts converted rows by what came out of their witness.
type Proof struct {
	Proved    int `json:"proved"`
	Shadowed  int `json:"shadowed"`
	Inactive  int `json:"inactive"`
	Undecided int `json:"undecided"`
	Failed    int `json:"failed"`
}

// Changes are the rows that differ from an earlier conversion, and the files of the chunks that they touch.
type Changes struct {
	Added   int      `json:"added"`
	Removed int      `json:"removed"`
	Changed int      `json:"changed"`
	Chunks  []string `json:"chunks"`
}

// MarshalJSON writes what is empty as [] and {}.
func (r Report) MarshalJSON() ([]byte, error) {
	type plainReport Report
	if r.Chunks == nil {
		r.Chunks = []ReportChunk{}
	}
	if r.Counts == nil {
		r.Counts = map[string]int{}
	}
	if r.Problems == nil {
		r.Problems = []Problem{}
	}
	if r.Changes != nil && r.Changes.Chunks == nil {
		changes := *r.Changes
		changes.Chunks = []string{}
		r.Changes = &changes
	}
	return cloudlet.Marshal(plainReport(r), "")
}
