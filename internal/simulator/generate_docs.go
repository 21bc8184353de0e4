package simulator

import (
	"fmt"
	"time"
)

// descriptionOf goes through what people write, or do not.
func descriptionOf(i int) []byte {
	return []byte(pickOf(i, `"ER policy for static assets"`, "null", `""`, `"launch 🚀 <b>now</b> & \"later\""`, `"escaped \uD83D\uDE00 and \u2028"`,
		"\"line\u2028separator\"", `"tab\tand\nnewline"`, `"ends with [cmig:00000000/1]"`))
}

func (g *generator) groupDocs() []object {
	var docs []object
	for i, id := range g.groups {
		parent := int64(0)
		if i > 0 {
			parent = g.groups[(i-1)/2]
		}
		capabilities := ""
		for j, t := range cloudletTypes() {
			if t.legacy == "" {
				continue
			}
			if capabilities != "" {
				capabilities += ","
			}
			capabilities += fmt.Sprintf(`{"cloudletId":%d,"cloudletCode":"%s","capabilities":%s}`, t.id, t.code,
				pickOf(i+j, `["View","Edit","Activate"]`, `["View","Edit","Activate","AdvancedEdit"]`, `["View"]`))
		}
		docs = append(docs, template(`{"location":"/cloudlets/api/v2/group-info/%d","serviceVersion":null,"apiVersion":"2.0","groupId":%d,`+
			`"groupName":%s,"parentId":%d,"capabilities":[%s],"properties":%s,"x-contract":"1-1A2B3C"}`, id, id,
			quote(pickOf(i, "Master Group Name", "Subgroup 1", "Übersee & Co", "subgroup 1", "👪")), parent, capabilities,
			pickOf(i, "null", `["www.example.com","www.example.org"]`, "[]")))
	}
	return docs
}

// event is one activation of a generated policy.
type event struct {
	network string // prod or staging
	number  int64
	status  string
	at      time.Time
}

// events is the activation history, newest first. It depends on the policy's place in its API alone.
func (g *generator) events(p *policy) []event {
	k := g.plan(p).index
	last := p.newest()
	if last == nil || p.deleted {
		return nil
	}
	first := &p.versions[0]
	for i := range p.versions {
		if !p.versions[i].deleted {
			first = &p.versions[i]
			break
		}
	}
	at := func(n int64, i int) time.Time { return g.when(p, n, i) }
	old, now := first.number, last.number
	switch k % 6 {
	case 1:
		return []event{{"staging", now, "ACTIVE", at(now, 2)}, {"prod", old, "ACTIVE", at(old, 1)}}
	case 2:
		return []event{{"prod", now, "ACTIVE", at(now, 3)}, {"staging", now, "ACTIVE", at(now, 2)}}
	case 3:
		return []event{
			{"staging", now, "PENDING", at(now, 5)},
			{"prod", old, "ACTIVE", at(old, 3)},
			{"staging", old, "ACTIVE", at(old, 2)},
		}
	case 4:
		return []event{
			{"prod", now, "FAILED", at(now, 4)},
			{"staging", now, "ACTIVE", at(now, 3)},
			{"staging", old, "DEACTIVATED", at(old, 1)},
		}
	default:
		return nil
	}
}

func (g *generator) propertyOf(p *policy) (name string, has bool) {
	k := g.plan(p).index
	return fmt.Sprintf("www.example%d.com", k/4), !p.deleted && k%6 >= 1 && k%6 <= 4
}

func (g *generator) eventRow(p *policy, e event) object {
	property, has := g.propertyOf(p)
	info := template(`{"policyId":%d,"name":%s,"version":%d,"status":"%s","statusDetail":%s,"detailCode":%d,"activatedBy":%s,`+
		`"activationDate":%d,"x-batch":12345678901234567890}`, p.id, quote(p.name), e.number, e.status,
		quote(statusDetail(e.status)), 1000+len(e.status)*100, g.who(p, e.number), e.at.UnixMilli())
	where := []byte("null")
	if has {
		where = template(`{"name":%s,"version":%d,"groupId":%d,"status":"ACTIVE","activatedBy":null,"activationDate":0}`,
			quote(property), 5, p.group).bytes()
	}
	return template(`{"serviceVersion":null,"apiVersion":"2.0","network":"%s","policyInfo":%s,"propertyInfo":%s}`, e.network, info.bytes(), where)
}

func statusDetail(status string) string {
	switch status {
	case "ACTIVE":
		return "File successfully deployed to Akamai's network"
	case "PENDING":
		return "batched"
	case "FAILED":
		return "could not deploy: <timeout & retry>"
	default:
		return ""
	}
}

func (g *generator) legacyPolicyDoc(p *policy) *heldPolicy {
	pl := g.plan(p)
	held := &heldPolicy{}
	var current [][]byte
	for _, e := range g.events(p) {
		row := g.eventRow(p, e)
		held.rows = append(held.rows, row)
		if e.status == "ACTIVE" || e.status == "PENDING" {
			current = append(current, row.bytes())
		}
	}
	if pl.index%6 == 0 {
		for _, network := range []string{"prod", "staging"} {
			current = append(current, template(`{"serviceVersion":null,"apiVersion":"2.0","network":"%s","policyInfo":{"policyId":%d,"name":%s,`+
				`"version":0,"status":"INACTIVE","statusDetail":null,"detailCode":0,"activatedBy":null,"activationDate":0},"propertyInfo":null}`,
				network, p.id, quote(p.name)).bytes())
		}
	}
	if name, has := g.propertyOf(p); has {
		held.properties = object{}.set(name, g.propertyDoc(name, p.group, [][]byte{quote(p.name)}))
	}
	kind, _ := typeByCode(p.code)
	held.doc = template(`{"location":"/cloudlets/api/v2/policies/%d","serviceVersion":null,"apiVersion":"2.0","policyId":%d,"cloudletId":%d,`+
		`"cloudletCode":"%s","groupId":%d,"name":%s,"description":%s,"deleted":%t,"propertyName":null,"createdBy":%s,"createDate":%d,`+
		`"lastModifiedBy":%s,"lastModifiedDate":%d,"activations":%s,"x-labels":["a",null,1e2,{"n":1.0}]}`,
		p.id, p.id, kind.id, p.code, p.group, quote(p.name), descriptionOf(pl.index), p.deleted, g.who(p, 0), g.when(p, 0, 0).UnixMilli(),
		g.who(p, 1), g.when(p, 1, 1).UnixMilli(), list(current).joined())
	return held
}

func (g *generator) legacyVersionDoc(p *policy, v *version) object {
	var rows [][]byte
	locked := false
	for _, e := range g.events(p) {
		if e.number == v.number {
			rows = append(rows, g.eventRow(p, e).bytes())
			locked = true
		}
	}
	doc := template(`{"location":"/cloudlets/api/v2/policies/%d/versions/%d","revisionId":%d,"policyId":%d,"version":%d,"description":%s,`+
		`"createdBy":%s,"createDate":%d,"lastModifiedBy":%s,"lastModifiedDate":%d,"rulesLocked":%t,"activations":%s,"matchRules":0,`+
		`"matchRuleFormat":"1.0","deleted":%t,"x-audit":{"ticket":12345678901234567890,"ratio":1.0}}`,
		p.id, v.number, p.id*10000+v.number, p.id, v.number, descriptionOf(g.plan(p).index+int(v.number)), g.who(p, v.number),
		g.when(p, v.number, 0).UnixMilli(), g.who(p, v.number+1), g.when(p, v.number, 1).UnixMilli(), locked, list(rows).joined(), v.deleted)
	return doc.set("matchRules", nil)
}

func (g *generator) propertyDoc(name string, group int64, policies [][]byte) []byte {
	state := template(`{"activatedBy":"jsmith","activationDate":"2015-08-25","cloudletsOrigins":{"clorigin1":{"id":"clorigin1",`+
		`"hostname":"origin1.example.com","checksum":"eefa90e680a1183725cfe2a1f00307c4","type":"CUSTOMER"}},"version":5,"referencedPolicies":%s}`,
		list(policies).joined()).bytes()
	return template(`{"groupId":%d,"name":%s,"newestVersion":%s,"production":%s,"staging":%s}`, group, quote(name), state, state, state).bytes()
}

// addProperties lists every property once with all policies that it refers to.
func (g *generator) addProperties(a *Account) {
	var names []string
	refer := map[string][][]byte{}
	groups := map[string]int64{}
	for _, p := range a.legacy.list {
		name, has := g.propertyOf(p)
		if !has {
			continue
		}
		if refer[name] == nil {
			names = append(names, name)
			groups[name] = p.group
		}
		refer[name] = append(refer[name], quote(p.name))
	}
	for _, name := range names {
		a.properties = append(a.properties, member{name, quote(name), g.propertyDoc(name, groups[name], refer[name])})
	}
}

func (g *generator) sharedPolicyDoc(p *policy) *heldPolicy {
	pl := g.plan(p)
	held := &heldPolicy{}
	for i, e := range g.events(p) {
		held.rows = append(held.rows, g.sharedRow(p, e, i))
	}
	if len(held.rows) > 0 {
		for i, network := range []string{"STAGING", "PRODUCTION"} {
			held.listed = append(held.listed, template(`{"id":%d,"name":"www.shared%d.com","groupId":%d,"version":%d,"network":"%s"}`,
				200000+p.id, pl.index/2, p.group, i+1, network).bytes())
		}
	}
	held.doc = template(`{"cloudletType":"%s","createdBy":%s,"createdDate":%s,"description":%s,"groupId":%d,"id":%d,"modifiedBy":%s,`+
		`"modifiedDate":%s,"name":%s,"policyType":"SHARED","currentActivations":0,"links":[{"href":"/cloudlets/v3/policies/%d","rel":"self"}],`+
		`"x-labels":["a",null,1e2,{"n":1.0}]}`, p.code, g.who(p, 0), quote(isoTime(g.when(p, 0, 0))), descriptionOf(pl.index+2), p.group, p.id,
		g.who(p, 1), quote(isoTime(g.when(p, 1, 1))), quote(p.name), p.id)
	held.doc = held.doc.set("currentActivations", currentShared(held.rows))
	return held
}

func (g *generator) sharedRow(p *policy, e event, i int) object {
	network, status, finish, failure := "PRODUCTION", succeeded, quote(isoTime(e.at.Add(90*time.Second))), []byte("null")
	if e.network == "staging" {
		network = "STAGING"
	}
	switch e.status {
	case "PENDING":
		status, finish = inProgress, []byte("null")
	case "FAILED":
		status, failure = failed, quote("could not deploy: <timeout & retry>")
	}
	id := p.id*100 + int64(9-i)
	return template(`{"createdBy":%s,"createdDate":%s,"finishDate":%s,"id":%d,"network":"%s","operation":"ACTIVATION","policyId":%d,`+
		`"status":"%s","policyVersion":%d,"failureDetails":%s,"links":[{"href":"/cloudlets/v3/policies/%d/activations/%d","rel":"self"}]}`,
		g.who(p, e.number), quote(isoTime(e.at)), finish, id, network, p.id, status, e.number, failure, p.id, id)
}

func (g *generator) sharedVersionDoc(p *policy, v *version) object {
	immutable := false
	for _, e := range g.events(p) {
		immutable = immutable || e.number == v.number
	}
	k := g.plan(p).index
	doc := template(`{"createdBy":%s,"createdDate":%s,"modifiedBy":%s,"modifiedDate":%s,"description":%s,"id":%d,"immutable":%t,"policyId":%d,`+
		`"version":%d,"matchRulesWarnings":%s,"matchRules":0,"x-audit":{"ticket":12345678901234567890,"ratio":1.0}}`,
		g.who(p, v.number), quote(isoTime(g.when(p, v.number, 0))), g.who(p, v.number+1), quote(isoTime(g.when(p, v.number, 1))),
		descriptionOf(k+int(v.number)), p.id*10000+v.number, immutable, p.id, v.number, pickOf(k, "[]",
			`[{"detail":"rule 0 & 1 overlap","title":"Overlap","type":"/cloudlets/v3/warning-types/overlap","jsonPointer":"/matchRules/0"}]`))
	return doc.set("matchRules", nil)
}

// balancingDoc is the i-th load balancing version's request (Cloudlets API v2, Create a load balancing version).
func balancingDoc(i int) object {
	return template(`{"balancingType":"%s","dataCenters":[{"cloudService":false,"livenessHosts":["clorigin3.www.example.com"],`+
		`"latitude":%s,"longitude":-116.07064,"continent":"NA","country":"US","originId":"clorigin3","percent":100.0}],"description":%s,`+
		`"livenessSettings":{"hostHeader":"clorigin3.www.example.com","interval":25,"path":"/status","port":443,"protocol":"HTTPS",`+
		`"status3xxFailure":false,"status4xxFailure":true,"status5xxFailure":false,"timeout":30},"x-audit":12345678901234567890}`,
		pickOf(i, "WEIGHTED", "PERFORMANCE"), pickOf(i, "102.78108", "1.0", "1e1"), descriptionOf(i))
}

// addOrigins adds load balancing origins with versions and activations, and one origin of each other type.
func (g *generator) addOrigins(a *Account) {
	clock := a.clock
	defer func() { a.clock = clock }()
	a.clock = func() time.Time { return g.base }
	for i := range g.opt.Origins {
		o := a.addOrigin(fmt.Sprintf("alb_origin_%d", i+1), balancing, "", descriptionOf(i))
		for j := range 3 {
			v := a.addOriginVersion(o, balancingDoc(i+j))
			if j < 2 {
				v.doc = v.doc.set("immutable", []byte("true"))
			}
		}
		row := func(n int64, network, status string) object {
			return newOriginRow(o, n, network, status, "jjones", g.base.Add(time.Duration(n)*time.Hour))
		}
		o.rows = []object{row(2, "STAGING", pickOf(i, "active", "pending")), row(1, "PRODUCTION", "active"), row(1, "STAGING", "deactivated")}
	}
	if g.opt.Origins > 0 && !g.opt.Plain {
		a.addOrigin("clorigin1", "CUSTOMER", "origin1.example.com", []byte("null"))
		a.addOrigin("nsorigin1", "NETSTORAGE", "download.example.com/12345", []byte(`""`))
	}
}
