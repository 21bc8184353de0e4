// Package cloudlet holds what the Cloudlets APIs are about: policies, versions, match rules, activations, their
// limits and their errors. Everything read from the API stays the bytes that came (json.RawMessage); typed views look
// inside where code must. The package does no input or output and imports no package of ours.
package cloudlet

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
)

// API is one of the two Cloudlets APIs.
type API string

// The two Cloudlets APIs: v2 holds legacy policies, v3 holds shared ones.
const (
	V2 API = "v2"
	V3 API = "v3"
)

// Paging says how the API cuts a list into pages.
type Paging int

// The ways in which a resource is read.
const (
	// Whole is one document, read with one request.
	Whole Paging = iota
	// ByOffset is a JSON array cut by the query members offset (in records) and pageSize (Cloudlets API v2, List policies).
	ByOffset
	// ByPage is an object {page, content, links} cut by the query members page (from 0) and size (Cloudlets API v3,
	// List shared policies).
	ByPage
)

// Resource names one readable thing of the API: a document or a paged list.
type Resource struct {
	// Path is the path and query as sent, without paging members and account switch key.
	Path   string
	Paging Paging
}

// Page is one page of a list.
type Page struct {
	// Elements are the records of this page, byte for byte as sent.
	Elements []json.RawMessage
	// Next is what to pass to get the page after this one; empty when this is the last.
	Next string
	// Total is the number of records of the whole list, or -1 when the API does not say.
	Total int
}

func (a API) base() string {
	if a == V3 {
		return "/cloudlets/v3"
	}
	return "/cloudlets/api/v2"
}

func (a API) listing(path string) Resource {
	if a == V3 {
		return Resource{Path: path, Paging: ByPage}
	}
	return Resource{Path: path, Paging: ByOffset}
}

func (a API) policy(id int64) string {
	return a.base() + "/policies/" + strconv.FormatInt(id, 10)
}

// Cloudlets is the list of cloudlet types that the account can use.
func (a API) Cloudlets() Resource { return Resource{Path: a.base() + "/cloudlet-info"} }

// Policies lists all policies. Deleted ones are listed on demand, by v2 alone: v3 forgets what it deletes.
func (a API) Policies(deleted bool) Resource {
	return a.listing(a.base() + "/policies" + a.withDeleted(deleted))
}

// Policy is one policy without its versions.
func (a API) Policy(id int64) Resource { return Resource{Path: a.policy(id)} }

// Versions lists the versions of a policy without their rules. Deleted ones are listed on demand, by v2 alone.
func (a API) Versions(policy int64, deleted bool) Resource {
	return a.listing(a.policy(policy) + "/versions" + a.withDeleted(deleted))
}

// Version is one version with its rules.
func (a API) Version(policy, version int64) Resource {
	return Resource{Path: fmt.Sprintf("%s/versions/%d", a.policy(policy), version)}
}

// Activations lists the activation history of a policy.
func (a API) Activations(policy int64) Resource { return a.listing(a.policy(policy) + "/activations") }

// Properties is what is known of the properties that use a policy: a map by property name in v2, a list in v3.
func (a API) Properties(policy int64) Resource {
	path := a.policy(policy) + "/properties"
	if a == V3 {
		return Resource{Path: path, Paging: ByPage}
	}
	return Resource{Path: path}
}

func (a API) withDeleted(deleted bool) string {
	if deleted && a == V2 {
		return "?includeDeleted=true"
	}
	return ""
}

// Groups lists the groups and what the caller may do in each (Cloudlets API v2, List groups).
func Groups() Resource { return Resource{Path: V2.base() + "/group-info"} }

// AccountProperties maps property names to the policies that they refer to (Cloudlets API v2, List associated properties).
func AccountProperties() Resource { return Resource{Path: V2.base() + "/properties"} }

// Origins lists the load-balancing origins (Cloudlets API v2, List cloudlets origins, of the type that has versions).
func Origins() Resource {
	return Resource{Path: V2.base() + "/origins?type=APPLICATION_LOAD_BALANCER"}
}

// AllOrigins lists the origins of every type: those that properties define, and the load-balancing ones.
func AllOrigins() Resource { return Resource{Path: V2.base() + "/origins"} }

func origin(id string) string { return V2.base() + "/origins/" + url.PathEscape(id) }

// Origin is one load-balancing origin.
func Origin(id string) Resource { return Resource{Path: origin(id)} }

// OriginVersions lists the load-balancing versions of an origin.
func OriginVersions(id string) Resource { return Resource{Path: origin(id) + "/versions"} }

// OriginVersion is one load-balancing version.
func OriginVersion(id string, version int64) Resource {
	return Resource{Path: fmt.Sprintf("%s/versions/%d", origin(id), version)}
}

// OriginActivations lists the activations of an origin's load-balancing versions.
func OriginActivations(id string) Resource { return Resource{Path: origin(id) + "/activations"} }
