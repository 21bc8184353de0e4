// Package upgrade makes legacy policies shared ones: a plan is made and may be edited, each policy is cloned or copied
// exactly once, what came of it is proved equal, and what was live goes live again. The legacy policy is never changed.
package upgrade

import (
	"context"
	"fmt"
	"time"

	"cloudletmig/internal/cloudlet"
)

// Account is the part of the API that an upgrade needs.
type Account interface {
	// Get reads a document, or all pages of a list as one JSON array.
	Get(ctx context.Context, r cloudlet.Resource) ([]byte, error)
	// Send makes one attempt at a change, never two; its error carries a verdict.
	Send(ctx context.Context, c cloudlet.Change) (cloudlet.Answer, error)
}

// Version is one version as the lists and its document tell of it.
type Version struct {
	Number      int64     `json:"number"`
	Description string    `json:"description"`
	Hash        string    `json:"hash,omitempty"` // of its rules (cloudlet.CanonicalHash); empty where it was not read
	Rules       int       `json:"rules"`
	Created     time.Time `json:"-"`
	Modified    time.Time `json:"modified,omitzero"`
	By          string    `json:"by,omitempty"`
}

// Legacy is a legacy policy as it is now.
type Legacy struct {
	cloudlet.Policy
	Versions   []Version // ascending, without deleted ones; those that are carried have a hash
	Carried    []int64   // ascending
	Live       map[cloudlet.Network]cloudlet.InForce
	Past       map[cloudlet.Network][]Past
	Properties []Use
	// Unread is why it, or the shared policy of its new name, cannot be read; empty where both can.
	Unread string
	Denied bool // for want of a permission
	// Refused is why its rules cannot be those of a shared policy; empty where they can.
	Refused string
	Bytes   int // of the largest body that a copy would send
}

// Use is a property that uses a legacy policy on a network, or in its newest version, where Network is empty.
type Use struct {
	Property string           `json:"property"`
	Group    int64            `json:"group"`
	Network  cloudlet.Network `json:"network,omitempty"`
	Version  int64            `json:"version"`
	Policies []string         `json:"referenced_policies,omitempty"` // all that this version of the property refers to
	// Former says that the property is associated with the policy, and no version of it that is known refers to it any more.
	Former bool `json:"refers_no_more,omitempty"`
}

// Shared is a shared policy as it is now.
type Shared struct {
	cloudlet.Policy
	By       string    // who made it
	Created  time.Time // and when
	Versions []Version // ascending, all with a hash
	Live     map[cloudlet.Network]cloudlet.InForce
	Past     map[cloudlet.Network][]Past
}

// Past is a version that was live on a network, or is, and since when; or, with Off, that it was taken off, and by whom.
type Past struct {
	Version int64
	At      time.Time
	Off     bool
	By      string
}

// Pair is a version's number in the legacy policy and in the shared one.
type Pair struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// version gives the version of that number.
func version(all []Version, number int64) (Version, bool) {
	for _, v := range all {
		if v.Number == number {
			return v, true
		}
	}
	return Version{}, false
}

// ref is how a legacy version is named where a document is asked for.
func ref(policy, number int64) string { return fmt.Sprintf("v2:%d@%d", policy, number) }

// networks are the two, staging first.
func networks() []cloudlet.Network {
	return []cloudlet.Network{cloudlet.Staging, cloudlet.Production}
}
