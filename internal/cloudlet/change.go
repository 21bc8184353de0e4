package cloudlet

import (
	"encoding/json"
	"fmt"
	"time"
)

// The methods of changes.
const post, put, remove = "POST", "PUT", "DELETE"

// Change is one request that changes the account.
type Change struct {
	Method string
	Path   string // path and query, without account switch key
	Body   []byte // JSON; nil for none
	// Limited says that the operation has a limit of its own: activations do, and nothing else does (Cloudlets API v2 and
	// v3, Rate limits).
	Limited bool
}

// Answer is what the API said to a Change.
type Answer struct {
	Body []byte // whole
	Rate Rate
}

// Rate is what an answer says of the limit of the operation that it is about (Cloudlets API v3, Rate limiting: headers
// X-RateLimit-Limit, -Remaining and -Next).
type Rate struct {
	Limit int // operations in a minute; 0: the answer does not say
	// Next is when the operation is allowed again, by this machine's clock; the zero time where it is allowed now or the
	// answer does not say. Beside a 429 it is always set.
	Next time.Time
}

// Kinds are the cloudlet codes that an account can make policies of, each with its cloudletId, which v2 wants to be told.
type Kinds map[string]int64

// DocumentedKinds are those that the documents name (Cloudlets API v2, Create a policy; v3, Create a policy). An account
// may have others.
func (a API) DocumentedKinds() Kinds {
	kinds := Kinds{"ER": 0, "FR": 3, "IG": 4, "AP": 5, "AS": 6, "CD": 7}
	if a == V3 {
		kinds["VWR"] = 0
	} else {
		kinds["VP"], kinds["ALB"] = 1, 9
	}
	return kinds
}

// ParseKinds reads the answer to Cloudlets.
func ParseKinds(list []byte) (Kinds, error) {
	var docs []struct {
		ID   int64  `json:"cloudletId"`   // v2
		Code string `json:"cloudletCode"` // v2
		Type string `json:"cloudletType"` // v3
	}
	if err := json.Unmarshal(list, &docs); err != nil {
		return nil, fmt.Errorf("read list of cloudlets: %w", err)
	}
	kinds := Kinds{}
	for _, d := range docs {
		kinds[d.Code+d.Type] = d.ID
	}
	return kinds, nil
}

// NewPolicy is a policy to be made.
type NewPolicy struct {
	Name, Description string
	Type              string // cloudlet code
	Kind              int64  // its cloudletId, for v2
	Group             int64  // 0: none, which v2 alone allows
}

// CreatePolicy makes a policy, in v2 with an empty version 1, in v3 without versions.
func (a API) CreatePolicy(p NewPolicy) Change {
	c := Change{Method: post, Path: a.base() + "/policies"}
	if a == V3 {
		c.Body = encode(struct {
			Type        string `json:"cloudletType"`
			Description string `json:"description"`
			Group       int64  `json:"groupId"`
			Name        string `json:"name"`
			PolicyType  string `json:"policyType"`
		}{p.Type, p.Description, p.Group, p.Name, "SHARED"})
		return c
	}
	c.Body = encode(struct {
		Kind        int64  `json:"cloudletId"`
		Description string `json:"description"`
		Group       int64  `json:"groupId,omitempty"`
		Name        string `json:"name"`
	}{p.Kind, p.Description, p.Group, p.Name})
	return c
}

// DescribePolicy changes a policy's description and keeps its group, which v3 wants to be told (Cloudlets API v3, Update a
// policy). It may be sent any number of times.
func (a API) DescribePolicy(id, group int64, description string) Change {
	body := map[string]any{"description": description}
	if a == V3 {
		body["groupId"] = group
	}
	return Change{Method: put, Path: a.policy(id), Body: encode(body)}
}

// DeletePolicy removes a policy: v3 for good unless a version is active, v2 may show it later as deleted.
func (a API) DeletePolicy(id int64) Change {
	return Change{Method: remove, Path: a.policy(id)}
}

// CreateVersion adds a version, whose number is the highest there ever was and one. The body has the members description
// and matchRules (Cloudlets API v3, Create a policy version).
func (a API) CreateVersion(policy int64, body []byte) Change {
	return Change{Method: post, Path: a.policy(policy) + "/versions", Body: body}
}

// UpdateVersion replaces what the body has of a version that was never active.
func (a API) UpdateVersion(policy, version int64, body []byte) Change {
	return Change{Method: put, Path: a.Version(policy, version).Path, Body: body}
}

// DeleteVersion removes a version that is not active.
func (a API) DeleteVersion(policy, version int64) Change {
	return Change{Method: remove, Path: a.Version(policy, version).Path}
}

// Clone makes a shared policy of the policy of that id, which may be legacy or shared. Its versions are those that are
// active, the last modified one, and the additional ones (Cloudlets API v3, Clone a policy).
func Clone(policy int64, newName string, group int64, additional []int64) Change {
	return Change{Method: post, Path: V3.policy(policy) + "/clone", Body: encode(struct {
		Additional []int64 `json:"additionalVersions,omitempty"`
		Group      int64   `json:"groupId,omitempty"`
		Name       string  `json:"newName"`
	}{additional, group, newName})}
}

// Activate begins an activation of a policy's version on a network; in v2 also of the properties named, which it
// associates with the policy for good. It answers at once: v3 with the activation, v2 with rows of the history
// (Cloudlets API v3, Activate a policy version; v2, with async=true).
func (a API) Activate(policy, version int64, on Network, properties []string) Change {
	if a == V3 {
		return shared(policy, version, on, "ACTIVATION")
	}
	body := map[string]any{"network": legacyNetwork(on), "additionalPropertyNames": append([]string{}, properties...)}
	return Change{Method: post, Path: a.Version(policy, version).Path + "/activations?async=true", Body: encode(body), Limited: true}
}

// Deactivate begins to take a shared policy's version off a network; v2 has no such operation.
func Deactivate(policy, version int64, on Network) Change {
	return shared(policy, version, on, "DEACTIVATION")
}

func shared(policy, version int64, on Network, operation string) Change {
	return Change{Method: post, Path: V3.policy(policy) + "/activations", Limited: true, Body: encode(struct {
		Network   string `json:"network"`
		Operation string `json:"operation"`
		Version   int64  `json:"policyVersion"`
	}{sharedNetwork(on), operation, version})}
}

// SharedActivation is one activation of a shared policy, by the id that the answer to Activate names.
func SharedActivation(policy, id int64) Resource {
	return Resource{Path: fmt.Sprintf("%s/activations/%d", V3.policy(policy), id)}
}

// CreateOrigin makes a load-balancing configuration without versions (Cloudlets API v2, Create a load balancing
// configuration). The origin of that id must be defined by a property.
func CreateOrigin(id, description string) Change {
	return Change{Method: post, Path: V2.base() + "/origins", Body: encode(map[string]any{
		"originId": id, "description": description,
	})}
}

// CreateOriginVersion adds a load-balancing version (Cloudlets API v2, Create a load balancing version).
func CreateOriginVersion(id string, body []byte) Change {
	return Change{Method: post, Path: origin(id) + "/versions", Body: body}
}

// ActivateOrigin begins an activation of a load-balancing version; a dry run says only whether it could (Cloudlets API v2,
// Activate a load balancing version). With async it answers at once and not when all is deployed.
func ActivateOrigin(id string, version int64, on Network, dry bool) Change {
	path := origin(id) + "/activations"
	if !dry {
		path += "?async=true"
	}
	return Change{Method: post, Path: path, Limited: true, Body: encode(struct {
		Network string `json:"network"`
		Dry     bool   `json:"dryrun"`
		Version int64  `json:"version"`
	}{sharedNetwork(on), dry, version})}
}

func legacyNetwork(on Network) string {
	if on == Production {
		return "prod"
	}
	return string(on)
}

func sharedNetwork(on Network) string {
	if on == Production {
		return "PRODUCTION"
	}
	return "STAGING"
}

// encode is the JSON of a value that always has one.
func encode(v any) json.RawMessage {
	text, _ := Marshal(v, "")
	return text
}
