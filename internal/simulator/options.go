package simulator

import (
	"net/http"
	"time"
)

// Options say how a Server behaves. Without Credentials nobody's signature fits, until Listen makes some; with NoAuth
// nobody needs one. Without an Account an empty one is served.
type Options struct {
	Account     *Account
	Credentials Credentials
	NoAuth      bool             // do not look at signatures
	Skew        time.Duration    // how far a timestamp may be off the clock; 30 s when 0
	Clock       func() time.Time // time.Now when nil; also answers' Date header and the time of activations
	User        string           // who creates and activates; "simulator" when empty
	Seed        uint64           // of faults and of what the API does only sometimes
	Faults      []Fault
	Access      func(Request) // called once for every request just before its answer is sent, possibly concurrently

	ActivationTime time.Duration // how long policy activations are under way; 2 s when 0, none at all when negative
	BalancingTime  time.Duration // likewise for load balancing versions
	Limits         Limits
	// FailActivation gives the reason why an activation that is now due fails, or "" when it succeeds. It runs under the
	// account's lock and must not use the account. Origin is set for load balancing versions, and policy 0 then.
	FailActivation func(a Activation) string

	DeniedGroups []int64        // policies of these groups are listed, but everything below them answers 403
	Absent       map[string]int // status that "v2", "v3" or "origins" answers throughout, as 403 or 404
	ListHeaders  ListHeaders
	StrictRules  bool // v3 refuses the members that its schemas lack: matchURL of FR and AS, disabled of FR

	RunningStatus   int  // answer to an activation while one is under way: 409 (text) or 400 (example); 409 when 0
	CloneActiveOnly bool // a clone carries versions that are active; otherwise also those being activated
	CloneRenumbers  bool // a clone's versions are numbered from 1 instead of keeping their numbers
	// CloneRefused gives the status, 400 or 404, with which the API refuses to clone a policy, or 0. Like CloneDamage it
	// runs under the account's lock and must not use the account.
	CloneRefused func(policy int64) int
	// CloneDamage says how the clone of a policy comes out other than its source; "" is whole. No document knows of this: it
	// is there so that a client can show that it would notice.
	CloneDamage func(policy int64) CloneDamage
}

// CloneDamage is a way in which a clone comes out wrong.
type CloneDamage string

// The damages, each in the clone's newest version.
const (
	DropMember   CloneDamage = "member"  // its last rule lacks what it does
	ReorderRules CloneDamage = "order"   // its first two rules have changed places
	LoseVersion  CloneDamage = "version" // the version is not there, where there are others
)

// Activation is one activation as FailActivation sees it.
type Activation struct {
	Policy, Version int64
	Origin          string
	Network         string // as the request spelled it
}

// ListHeaders says when v2 lists carry X-Total-Count and Link.
type ListHeaders int

// The API sends these headers only sometimes.
const (
	Sometimes ListHeaders = iota
	Always
	Never
)

// Request is one answered request as Access sees it.
type Request struct {
	Method string
	Path   string // path and query as received
	Status int    // 0 when the connection was cut before an answer
	Bytes  int64  // of the body, as many as are sent when the client waits for them
	Fault  FaultKind
	Time   time.Time
}

// filled is the options with what their comments promise for zero values.
func (opt Options) filled() Options {
	if opt.Account == nil {
		opt.Account = NewAccount()
	}
	if opt.Clock == nil {
		opt.Clock = time.Now
	}
	if opt.ActivationTime == 0 {
		opt.ActivationTime = 2 * time.Second
	}
	if opt.BalancingTime == 0 {
		opt.BalancingTime = 2 * time.Second
	}
	if opt.RunningStatus == 0 {
		opt.RunningStatus = http.StatusConflict
	}
	return opt
}
