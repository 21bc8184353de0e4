package convert

import (
	"encoding/json"
	"fmt"
	"slices"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/redirect"
)

// IsStatus reports whether a redirect can have the status (Cloudlets API v3, statusCode).
func IsStatus(status int) bool { return statuses[fmt.Sprint(status)] == status && status != 0 }

// NewExisting takes a rule over as it is, but for its location, which the API adds and refuses (Cloudlets API v2, Modify a
// policy version).
func NewExisting(raw json.RawMessage, from string) (Existing, error) {
	rule, err := redirect.Parse(raw)
	if err != nil {
		return Existing{}, err
	}
	var kept []byte
	for name, value := range cloudlet.Members(raw) {
		if name == "location" {
			continue
		}
		key, err := json.Marshal(name)
		if err != nil {
			return Existing{}, err
		}
		kept = append(append(append(append(kept, ','), key...), ':'), value...)
	}
	if len(kept) == 0 {
		return Existing{}, fmt.Errorf("an empty rule")
	}
	kept[0] = '{'
	return Existing{Raw: cloudlet.AppendCompact(nil, append(slices.Clip(kept), '}')), Rule: rule, From: from}, nil
}
