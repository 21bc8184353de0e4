package cloudlet

import "regexp"

// Limits of one policy and of one version of it (Cloudlets API v2, "5,000 rules per policy", "POST body limit", schema
// create-policy.json; the SDK applies the same to v3).
const (
	MaxRules       = 5000
	MaxBytes       = 5242880 // of the body that makes a version
	MaxName        = 64      // characters
	MaxDescription = 255     // characters, of a policy or a version
)

var policyName = regexp.MustCompile(`^[a-z_A-Z0-9]+$`)

// ValidName reports whether the API takes name for a policy's.
func ValidName(name string) bool { return policyName.MatchString(name) && len(name) <= MaxName }
