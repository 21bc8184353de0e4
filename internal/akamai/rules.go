package akamai

import (
	"encoding/json"
	"fmt"

	"github.com/akamai/AkamaiOPEN-edgegrid-golang/v7/pkg/cloudlets"
)

// CheckRedirects is the SDK's own check of Edge Redirector rules, for rules that this program has made: lengths, status
// codes, targets, what goes together. doc is JSON with matchRules.
func CheckRedirects(doc []byte) error {
	var version struct {
		MatchRules []json.RawMessage `json:"matchRules"`
	}
	if err := json.Unmarshal(doc, &version); err != nil {
		return err
	}
	for i, raw := range version.MatchRules {
		var rule cloudlets.MatchRuleER
		if err := json.Unmarshal(raw, &rule); err != nil {
			return fmt.Errorf("match rule %d: %w", i+1, err)
		}
		if err := rule.Validate(); err != nil {
			return fmt.Errorf("match rule %d: %w", i+1, err)
		}
	}
	return nil
}
