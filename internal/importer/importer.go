// Package importer brings policies into an account: chunks that were made of sheets, or policies of a snapshot. What is
// wanted and what is present give a plan, which is plain data; then that plan, and nothing else, is carried out, each
// change exactly once.
//
// Versions of one policy are made one after another, in order; policies side by side.
package importer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"cloudletmig/internal/cloudlet"
)

// Account is the part of the API that an import needs.
type Account interface {
	Get(ctx context.Context, r cloudlet.Resource) ([]byte, error)
	// Send makes one attempt at a change, never two; its error carries a verdict.
	Send(ctx context.Context, c cloudlet.Change) (cloudlet.Answer, error)
}

// Source gives the documents of wanted versions. It is safe for concurrent use.
type Source interface {
	// Document gives the document that Version.Ref names: a JSON object with matchRules, or a load-balancing version.
	Document(ref string) ([]byte, error)
}

// Policy is a policy, or a load-balancing origin, as it is wanted in the account.
type Policy struct {
	API         cloudlet.API `json:"api,omitempty"` // empty: an origin, whose id is the name
	Type        string       `json:"type,omitempty"`
	Name        string       `json:"name"`
	Description string       `json:"description"`
	Group       int64        `json:"group,omitempty"` // of a policy that is present, the one that it is in
	Source      string       `json:"source"`          // what people call it where it comes from: v2:1001 name, or a chunk's file
	Versions    []Version    `json:"versions"`
	// Live says what is to be activated, by network.
	Live map[cloudlet.Network]Live `json:"live,omitempty"`
	// Owner is in the description of a policy that belongs to a set of chunks; empty for others.
	Owner string `json:"owner,omitempty"`
	// Refused is why the policy cannot be brought in, where that is known from its source alone.
	Refused string `json:"refused,omitempty"`
	// Origins are the load-balancing origins, or for an origin the data centers' origins, that must be in the account.
	Origins []string `json:"origins,omitempty"`
	// Forwards are the origins that rules of other types than ALB forward to; a property defines them.
	Forwards []string `json:"forwards,omitempty"`
}

// Version is a version as it is wanted.
type Version struct {
	Number      int64  `json:"number"` // in the source; 1 for a chunk
	Description string `json:"description"`
	Ref         string `json:"ref"`
	Hash        string `json:"hash"` // cloudlet.CanonicalHash of its rules
	Rules       int    `json:"rules"`
	Bytes       int    `json:"bytes"` // of the body to be sent
	// Sum is the SHA-256 of that; empty where the source may spell the same document in another way, and Hash must do.
	Sum string `json:"sum,omitempty"`
}

// measure takes in the body that is to be sent.
func (v *Version) measure(body []byte) {
	sum := sha256.Sum256(body)
	v.Bytes, v.Sum = len(body), hex.EncodeToString(sum[:])
}

// Live is a version that is to be active on a network.
type Live struct {
	Version    int64    `json:"version"` // its number in the source
	Properties []string `json:"properties,omitempty"`
}

// IsOrigin reports whether it is a load-balancing origin.
func (p Policy) IsOrigin() bool { return p.API == "" }

// Key names a policy within a plan, whatever its id is or will be: legacy/NAME, shared/NAME or origins/ID.
func (p Policy) Key() string {
	switch p.API {
	case cloudlet.V2:
		return "legacy/" + p.Name
	case cloudlet.V3:
		return "shared/" + p.Name
	}
	return "origins/" + p.Name
}

// String is how people see it in messages.
func (p Policy) String() string {
	if p.IsOrigin() {
		return "origin " + cloudlet.Printable(p.Name)
	}
	return string(p.API) + ":" + cloudlet.Printable(p.Name)
}
