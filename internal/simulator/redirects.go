package simulator

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

const redirectGroup = 1234 // group of the policies that FromRedirects makes

// FromRedirects makes an account of Edge Redirector policies from lines "source TAB target"; lines that begin with # and
// empty ones are left out. Policies NAME_001, NAME_002 ... have perPolicy rules each, in the order of the lines, and a
// shared policy NAME_shared has those of the first. All are active on both networks.
func FromRedirects(r io.Reader, name string, perPolicy int) (*Account, error) {
	if perPolicy < 1 || perPolicy > maxRules {
		return nil, fmt.Errorf("make policies: %d rules a policy, want 1 to %d", perPolicy, maxRules)
	}
	if !policyName.MatchString(name) || len(name) > nameLength-len("_shared") {
		return nil, fmt.Errorf("make policies: %q is no policy name of at most %d characters", name, nameLength-len("_shared"))
	}
	a := NewAccount()
	a.AddGroup(redirectGroup, 0, "Redirects", "www.example.com")
	var rules []string
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimRight(lines.Text(), "\r")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		source, target, found := strings.Cut(line, "\t")
		if !found || source == "" || target == "" || strings.Contains(target, "\t") {
			return nil, fmt.Errorf("read redirects: line %d: want a source, a tab and a target", n)
		}
		rules = append(rules, redirectRule(n, source, target))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read redirects: %w", err)
	}
	made := 0
	for chunk := range slices.Chunk(rules, perPolicy) {
		made++
		err := a.addRedirects(NewPolicy{Type: "ER", Group: redirectGroup, Name: fmt.Sprintf("%s_%03d", name, made)}, chunk)
		if err == nil && made == 1 {
			err = a.addRedirects(NewPolicy{Shared: true, Type: "ER", Group: redirectGroup, Name: name + "_shared"}, chunk)
		}
		if err != nil {
			return nil, err
		}
	}
	return a, nil
}

func redirectRule(line int, source, target string) string {
	relative := "none"
	if strings.HasPrefix(target, "/") {
		relative = "relative_url"
	}
	return fmt.Sprintf(`{"type":"erMatchRule","name":"line %d","start":0,"end":0,"matchURL":%s,"statusCode":301,"redirectURL":%s,`+
		`"useIncomingQueryString":false,"useRelativeUrl":"%s","disabled":false}`, line, quote(source), quote(target), relative)
}

func (a *Account) addRedirects(n NewPolicy, rules []string) error {
	id, err := a.AddPolicy(n)
	if err != nil {
		return err
	}
	text := "[" + strings.Join(rules, ",") + "]"
	if n.Shared {
		_, err = a.AddVersion(id, "redirects", text)
	} else {
		err = a.EditRules(id, 1, text)
	}
	for _, network := range []string{"staging", "production"} {
		if err == nil {
			err = a.Activate(id, 1, network)
		}
	}
	return err
}
