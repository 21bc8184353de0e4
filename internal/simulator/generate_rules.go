package simulator

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
)

// blocks are the rules of every cloudlet, rendered when they are first needed and shared by all versions.
type blocks struct {
	bytes int // at least so many for a rule
	mu    sync.Mutex
	made  map[string][]rule
}

// take is count rules of a cloudlet from an index on. The rules are never changed.
func (b *blocks) take(code string, shared bool, from, count int) []rule {
	key := code
	if shared {
		key += " shared"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.made == nil {
		b.made = map[string][]rule{}
	}
	rules := b.made[key]
	for i := len(rules); i < from+count; i++ {
		rules = append(rules, b.render(code, shared, i))
	}
	b.made[key] = rules
	return rules[from : from+count : from+count]
}

// render makes the i-th rule of a cloudlet, which goes through the oddities of real rules as i grows.
func (b *blocks) render(code string, shared bool, i int) rule {
	aka := fmt.Sprintf("%016x", uint64(i+1)*0x9e3779b97f4a7c15)
	var text bytes.Buffer
	fmt.Fprintf(&text, `{"type":"%sMatchRule","id":%s,"name":%s,"akaRuleId":"%s","start":0,"end":%d,`, strings.ToLower(code),
		pickOf(i, "0", "null", "1274953"), quote(fmt.Sprintf("%s %d", pickOf(i, "rule", "Règle", "ルール", "a&b <c>", "😀 rule"), i)), aka, i%3*1700000000)
	if (code != "FR" && code != "AS" || !shared) && code != "ALB" && code != "IV" {
		fmt.Fprintf(&text, `"matchURL":%s,`, pickOf(i, "null", fmt.Sprintf(`"/old/%d/*"`, i), fmt.Sprintf(`"http:\/\/www.example.com\/%d"`, i)))
	}
	if code != "FR" || !shared {
		fmt.Fprintf(&text, `"disabled":%s,`, pickOf(i, "false", "false", "true", `"false"`, `"true"`))
	}
	text.WriteString(b.action(code, i))
	fmt.Fprintf(&text, `,"matches":%s`, matchesOf(code, i))
	if odd := oddMember(i); odd != "" {
		text.WriteString("," + odd)
	}
	if missing := b.bytes - text.Len() - len(`,"x-note":""}`); missing > 0 {
		fmt.Fprintf(&text, `,"x-note":"%s"`, strings.Repeat("lorem ipsum ", missing/12+1)[:missing])
	}
	text.WriteByte('}')
	return rule{text: text.Bytes(), aka: []byte(aka)}
}

func pickOf(i int, choices ...string) string { return choices[i%len(choices)] }

// action is what a rule of the cloudlet does.
func (b *blocks) action(code string, i int) string {
	switch code {
	case "ER":
		return fmt.Sprintf(`"statusCode":%s,"redirectURL":%s,"useIncomingQueryString":%s,"useRelativeUrl":"%s"`,
			pickOf(i, "301", "302", "307", "308", "303"), pickOf(i, fmt.Sprintf(`"/new/%d/*"`, i), fmt.Sprintf(`"https://www.example.com/n/%d?a=b&c=<d>"`, i)),
			pickOf(i, "true", "false"), pickOf(i, "relative_url", "none", "copy_scheme_hostname"))
	case "ALB":
		return `"matchesAlways":false,"forwardSettings":{"originId":"alb_origin_1"},"useIncomingQueryString":false`
	case "AP", "VP":
		return fmt.Sprintf(`"passThroughPercent":%s,"useIncomingQueryString":false`, pickOf(i, `"50"`, "11", "-1", "99.000", "1e1"))
	case "AS", "FR":
		return fmt.Sprintf(`"forwardSettings":{"originId":%s,"useIncomingQueryString":true,"pathAndQS":"/sales/Q%d/?x=\\1"}`,
			pickOf(i, `"originremote2"`, "null"), i%4+1)
	case "CD":
		return fmt.Sprintf(`"forwardSettings":{"percent":%s,"originId":"mynetstorage","useIncomingQueryString":true}`, pickOf(i, "30", "1", "100"))
	case "IG":
		return fmt.Sprintf(`"allowDeny":"%s"`, pickOf(i, "allow", "deny", "denybranded"))
	case "IV":
		return `"x-limits":{"penalty":1.0,"max":100000000000000000001}`
	default:
		return `"jsInsertion":true`
	}
}

// matchesOf goes through the match types of the documents.
func matchesOf(code string, i int) string {
	if i%11 == 10 {
		return pickOf(i/11, "[]", "null")
	}
	simple := func(kind, value, operator string) string {
		return fmt.Sprintf(`{"matchType":"%s","matchValue":"%s","matchOperator":"%s","negate":%s,"caseSensitive":%s}`, kind, value, operator,
			pickOf(i, "false", "true"), pickOf(i, "false", "false", "true"))
	}
	choices := []string{
		simple("hostname", "www.example.com *.example.org", "equals"),
		simple("path", `/a/*.jpg /b\\?c`, "contains") + "," + simple("extension", "jpg png gif", "equals"),
		`{"matchType":"header","matchOperator":"contains","objectMatchValue":{"type":"object","name":"Accept","nameCaseSensitive":false,` +
			`"nameHasWildcard":false,"options":{"value":["text/html*","a b"],"valueHasWildcard":true,"valueCaseSensitive":false,"valueEscaped":true}},"negate":false}`,
		`{"caseSensitive":false,"matchOperator":"equals","matchType":"clientip","matchValue":"72.246.0.0/16 192.0.2.0","checkIPs":"CONNECTING_IP XFF_HEADERS","negate":true}`,
		simple("query", "p=x y", "equals") + `,{"matchType":"method","matchOperator":"equals","objectMatchValue":{"type":"simple","value":["GET","POST"]},"x-hint":null}`,
		simple("regex", `^https?://(?:[A-z0-9|\\.]*)/(.*)`, "equals"),
	}
	if code == "AS" && i%2 == 0 {
		return `[{"matchType":"range","objectMatchValue":{"type":"range","value":[1,25]},"matchOperator":"equals","negate":false,"caseSensitive":false}]`
	}
	return "[" + choices[i%len(choices)] + "]"
}

// oddMember is a member that no schema knows, or nothing. Numbers and escapes must survive as they are spelled.
func oddMember(i int) string {
	return pickOf(i, `"x-numbers":[1.0,1e2,-0,0.10,12345678901234567890]`, "", `"x-escapes":"\uD83D\uDE00 \ud83d \u2028 \/ <>& `+"\u2028"+`"`, "",
		`"x-nested":{"":null,"b":{"a":[[],{}]},"B":true,"a":"\u0000"}`, "", `"matchesAlways":false`)
}

// ownRule is the first rule of a version, which no other version has.
func (g *generator) ownRule(p *policy, v *version) rule {
	pl := g.plan(p)
	model := g.blocks.take(p.code, p.shared, pl.index%8, 1)[0]
	o := splitObject(model.text)
	own := fmt.Sprintf("%s version %d of policy %d", p.code, v.number, p.id)
	aka := fmt.Sprintf("%016x", uint64(p.id)<<32|uint64(v.number))
	o = o.copied().set("name", quote(own)).set("akaRuleId", quote(aka))
	if p.code == "ER" {
		o = o.set("redirectURL", quote(fmt.Sprintf("/own/%d/%d", p.id, v.number)))
	}
	return rule{text: o.bytes(), aka: []byte(aka)}
}
