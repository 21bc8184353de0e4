package simulator

import (
	"fmt"
	"strings"
	"time"
)

// GenerateOptions say how large a made-up account is. Policies, Versions and Rules are exact for the regular policies;
// unless Plain, more policies and versions come on top, which Counts tells.
type GenerateOptions struct {
	Policies  int     // 24 when 0; from 20 on every cloudlet type of the documents is there
	Versions  int     // of each policy, not counting deleted ones; 3 when 0
	Rules     int     // of each version; 5 when 0, none when negative
	RuleBytes int     // at least so many bytes a rule
	Shared    float64 // part of the policies that are shared (v3); 0.3 when 0, none when negative
	Origins   int     // load balancing origins; 2 when 0, none when negative
	Seed      uint64

	// Plain leaves out what makes an account awkward on top of its size: deleted policies and versions, gaps, a policy of
	// 5,000 rules, a shared policy without versions.
	Plain bool
	// Hostile adds policies and origins whose names no API would take but no client may trip over.
	Hostile bool
}

const firstPolicy = 1001 // id of the first generated policy

// plan is what a generated policy is made from.
type plan struct {
	index   int // among the policies of its API
	rules   int
	regular bool
}

// generator makes policies and versions when they are asked for. Rules are rendered once for each cloudlet and shared.
type generator struct {
	opt    GenerateOptions
	plans  []plan // by id - firstPolicy
	groups []int64
	base   time.Time
	blocks blocks
}

// Generate makes an account of any size: the same one for the same options. Versions are made whenever they are asked
// for, so that memory grows by about a hundred bytes for each.
func Generate(opt GenerateOptions) *Account {
	or := func(n *int, usual int) {
		if *n == 0 {
			*n = usual
		}
		*n = max(*n, 0)
	}
	or(&opt.Policies, 24)
	or(&opt.Versions, 3)
	or(&opt.Rules, 5)
	or(&opt.Origins, 2)
	if opt.Shared == 0 {
		opt.Shared = 0.3
	}
	a := newAccount()
	g := &generator{opt: opt, groups: []int64{1234, 5678, 9012, 40498, 11754}, base: time.Date(2024, 3, 1, 8, 0, 0, 0, time.UTC)}
	g.blocks.bytes = opt.RuleBytes
	a.source = g
	a.groups = g.groupDocs()
	shared := int(max(opt.Shared, 0) * float64(opt.Policies))
	for k := range opt.Policies - shared {
		g.add(a, legacyCodes()[k%len(legacyCodes())], plan{index: k, rules: opt.Rules, regular: true}, false, opt.Versions)
	}
	for k := range shared {
		g.add(a, sharedCodes()[k%len(sharedCodes())], plan{index: k, rules: opt.Rules, regular: true}, true, opt.Versions)
	}
	if !opt.Plain {
		g.addAwkward(a, shared)
	}
	if opt.Hostile {
		g.addHostile(a)
	}
	g.addProperties(a)
	g.addOrigins(a)
	a.nextRevision = 1_000_000_000
	a.nextActivation = 900_000_000
	return a
}

func legacyCodes() []string {
	return []string{"ER", "ALB", "AP", "AS", "CD", "FR", "IG", "IV", "VP", "MMA", "MMB"}
}

func sharedCodes() []string { return []string{"ER", "AP", "AS", "CD", "FR", "IG"} }

// add makes a policy with that many versions that are not deleted.
func (g *generator) add(a *Account, code string, pl plan, shared bool, versions int) *policy {
	p := &policy{id: firstPolicy + int64(len(g.plans)), shared: shared, code: code, name: policyNames(code, pl.index, shared)}
	g.plans = append(g.plans, pl)
	p.group = g.groups[pl.index%len(g.groups)]
	if !shared && pl.index%5 == 4 {
		p.group = 0
	}
	n := int64(0)
	for j := range versions {
		n++
		// A deleted v2 version stays in the list of deleted ones; a deleted v3 version leaves a gap.
		if !g.opt.Plain && pl.index%3 == 1 && j%2 == 1 {
			if !shared {
				p.versions = append(p.versions, version{number: n, deleted: true})
			}
			n++
		}
		p.versions = append(p.versions, version{number: n})
	}
	a.addPolicy(p)
	return p
}

// policyNames gives every fourth policy the name of its neighbour in other case.
func policyNames(code string, index int, shared bool) string {
	words := []string{"campaign", "checkout", "Landing_Pages", "static_assets", "legacy"}
	suffix := ""
	if shared {
		suffix = "_shared"
	}
	if index%4 == 3 {
		// The neighbour's code belongs into the name, or the names would differ by more than case.
		codes := legacyCodes()
		if shared {
			codes = sharedCodes()
		}
		return strings.ToUpper(policyNames(codes[(index-1)%len(codes)], index-1, shared))
	}
	return fmt.Sprintf("%s_%s_%04d%s", strings.ToLower(code), words[index%len(words)], index, suffix)
}

// addAwkward adds what every account of some age has.
func (g *generator) addAwkward(a *Account, shared int) {
	at := func(k int) plan { return plan{index: k, rules: g.opt.Rules} }
	legacy := g.opt.Policies - shared
	big := g.add(a, "ER", plan{index: legacy, rules: maxRules}, false, 1)
	big.name = "er_five_thousand"
	gone := g.add(a, "FR", at(legacy+1), false, 2)
	gone.name, gone.deleted = "fr_deleted", true
	// A deleted policy's name may be used again.
	again := g.add(a, "FR", at(legacy+2), false, 1)
	again.name = "fr_deleted"
	empty := g.add(a, "ER", at(shared), true, 0)
	empty.name = "er_without_versions"
	barren := g.add(a, "VP", plan{index: legacy + 3}, false, 1)
	barren.name = "vp_without_rules"
}

// HostileNames are names that a client must survive: path tricks, device names, control characters, text that runs
// backwards, and names that file systems find too long or the same.
func HostileNames() []string {
	return []string{
		"../../x", `..\..\x`, "..", ".", "CON", "con.json", "NUL", "a\nb", "a\tb", "evil\u202etxt.exe", strings.Repeat("n", 300),
		"nul\x00byte", "trailing.", " leading", "a/b", "/etc/passwd", "C:\\x", "é", "e\u0301", "=1+1", "<script>", "%2e%2e%2f", "",
		"-rf", "~root", "a\u2028b", "😀",
	}
}

func (g *generator) addHostile(a *Account) {
	for i, name := range HostileNames() {
		p := g.add(a, "ER", plan{index: g.opt.Policies + 10 + i, rules: min(g.opt.Rules, 2)}, i%3 == 2, 1)
		p.name = name
		if name != "" {
			o := a.addOrigin(name, balancing, "", quote("hostile "+name))
			a.addOriginVersion(o, balancingDoc(i))
		}
	}
}

func (g *generator) plan(p *policy) plan { return g.plans[p.id-firstPolicy] }

// version makes one version: a rule of its own first, then a stretch of the rules of its cloudlet.
func (g *generator) version(p *policy, v *version) *heldVersion {
	pl := g.plan(p)
	held := &heldVersion{rules: ruleList{{}}}
	if pl.rules > 0 {
		from := int(v.number) % 8
		held.rules = ruleList{{g.ownRule(p, v)}, g.blocks.take(p.code, p.shared, from, pl.rules-1)}
	}
	if p.shared {
		held.doc = g.sharedVersionDoc(p, v)
	} else {
		held.doc = g.legacyVersionDoc(p, v)
	}
	return held
}

func (g *generator) policy(p *policy) *heldPolicy {
	if p.shared {
		return g.sharedPolicyDoc(p)
	}
	return g.legacyPolicyDoc(p)
}

// when is the time of a version's n-th event, always the same.
func (g *generator) when(p *policy, number int64, event int) time.Time {
	return g.base.Add(time.Duration(p.id-firstPolicy)*7*time.Hour + time.Duration(number)*3*time.Hour +
		time.Duration(event)*17*time.Minute + time.Duration(number*37%1000)*time.Millisecond)
}

func (g *generator) who(p *policy, n int64) []byte {
	users := []string{"jsmith", "sjones", "ejnovak", "Müller <ops@example.org>"}
	return quote(users[(p.id+n+int64(g.opt.Seed%4))%int64(len(users))])
}
