package cloudlet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Network is where a version is active.
type Network string

// The two networks. The API spells them prod, PRODUCTION, staging, STAGING.
const (
	Staging    Network = "staging"
	Production Network = "production"
)

// Status is what became of an activation, in the words of v2 (Cloudlets API v2, Activation members).
type Status string

// The statuses. v3's IN_PROGRESS is Pending and its SUCCESS is Active.
const (
	Active      Status = "active"
	Inactive    Status = "inactive"
	Pending     Status = "pending"
	Deactivated Status = "deactivated"
	Broken      Status = "failed"
)

// Activation is one row of a policy's activation history.
type Activation struct {
	Network  Network
	Version  int64 // 0: no version
	Status   Status
	Off      bool // v3: the row is of a deactivation
	At       time.Time
	By       string
	Property string // v2: the property that the row speaks of; empty where there is none
	Raw      json.RawMessage
}

// ParseActivation reads a row of an activation history: a policy's in either API, or a load-balancing origin's.
func ParseActivation(raw json.RawMessage) (Activation, error) {
	var doc struct {
		Network    string `json:"network"`
		PolicyInfo *struct {
			Version        int64           `json:"version"`
			Status         string          `json:"status"`
			ActivationDate json.RawMessage `json:"activationDate"`
			ActivatedBy    string          `json:"activatedBy"`
		} `json:"policyInfo"` // v2
		PropertyInfo *struct {
			Name string `json:"name"`
		} `json:"propertyInfo"` // v2
		PolicyVersion int64           `json:"policyVersion"` // v3
		Operation     string          `json:"operation"`     // v3
		FinishDate    json.RawMessage `json:"finishDate"`    // v3
		CreatedDate   json.RawMessage `json:"createdDate"`   // v3
		CreatedBy     string          `json:"createdBy"`     // v3
		Version       int64           `json:"version"`       // origin
		ActivatedDate json.RawMessage `json:"activatedDate"` // origin
		ActivatedBy   string          `json:"activatedBy"`   // origin
		Status        string          `json:"status"`        // v3, origin
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return Activation{}, fmt.Errorf("read activation: %w", err)
	}
	a := Activation{
		Network: network(doc.Network), Version: cmp.Or(doc.PolicyVersion, doc.Version), Status: status(doc.Status),
		Off: strings.EqualFold(doc.Operation, "DEACTIVATION"), By: doc.CreatedBy + doc.ActivatedBy, Raw: raw,
		At: When(cmp.Or(plain(doc.FinishDate), plain(doc.CreatedDate), plain(doc.ActivatedDate))),
	}
	if p := doc.PolicyInfo; p != nil {
		a.Version, a.Status, a.At, a.By = p.Version, status(p.Status), When(plain(p.ActivationDate)), p.ActivatedBy
	}
	if doc.PropertyInfo != nil {
		a.Property = doc.PropertyInfo.Name
	}
	return a, nil
}

func network(text string) Network {
	if text = strings.ToLower(text); text == "prod" {
		return Production
	}
	return Network(text)
}

func status(text string) Status {
	switch text = strings.ToLower(text); text {
	case "in_progress":
		return Pending
	case "success":
		return Active
	default:
		return Status(text)
	}
}

// InForce is what is live on one network, and what is about to be.
type InForce struct {
	Effective int64     // the version that is live; 0: none
	Since     time.Time // when it became so
	By        string    // who activated it
	Pending   int64     // the version whose activation is under way; 0: none
}

// InForceOn tells what the rows of a policy's (or an origin's) whole history say of one network. In v2, among the
// network's rows that are active, the one with the newest date counts. In v3, whose rows do not change once they are
// done, the newest that succeeded counts, and a deactivation leaves nothing. Version 0 is none.
func InForceOn(rows []Activation, on Network) InForce {
	var live, coming Activation
	for _, row := range rows {
		if row.Network != on {
			continue
		}
		switch {
		case row.Status == Active && newer(row, live):
			live = row
		case row.Status == Pending && !row.Off && newer(row, coming):
			coming = row
		}
	}
	if live.Off {
		live = Activation{}
	}
	return InForce{Effective: live.Version, Since: live.At, By: live.By, Pending: coming.Version}
}

// newer reports whether row is to be preferred to the one found so far. Histories come newest first, so the first of
// two rows with one date stays.
func newer(row, found Activation) bool { return found.Network == "" || row.At.After(found.At) }

// CurrentActivations are the rows that a policy's own entry in a list tells of: v2's activations, v3's
// currentActivations. They are fewer than the history, and enough to see what is live. What cannot be read is left out.
func CurrentActivations(p Policy) []Activation {
	var doc struct {
		Activations []json.RawMessage `json:"activations"` // v2
		Current     map[string]struct {
			Latest    json.RawMessage `json:"latest"`
			Effective json.RawMessage `json:"effective"`
		} `json:"currentActivations"` // v3
	}
	if json.Unmarshal(p.Raw, &doc) != nil {
		return nil
	}
	raws := doc.Activations
	for _, c := range doc.Current {
		raws = append(raws, c.Effective, c.Latest)
	}
	var rows []Activation
	for _, raw := range raws {
		if row, err := ParseActivation(raw); err == nil && row.Network != "" {
			rows = append(rows, row)
		}
	}
	return rows
}
