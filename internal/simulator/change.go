package simulator

import (
	"fmt"
	"slices"
	"strings"
)

// The methods in this file change an account from outside, as somebody else at the same account would: at once, without
// signatures, limits and most checks, under the account's lock. They may be called while a Server serves the account.

// NewPolicy is a policy for AddPolicy.
type NewPolicy struct {
	ID          int64  // the next free one when 0
	Shared      bool   // v3
	Type        string // ER, FR ...
	Group       int64
	Name        string
	Description string
}

// AddGroup adds a group in which everything may be done. Its properties may be associated with policies.
func (a *Account) AddGroup(id, parent int64, name string, properties ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var capabilities, names [][]byte
	for _, t := range cloudletTypes() {
		if t.legacy != "" {
			capabilities = append(capabilities, fmt.Appendf(nil,
				`{"cloudletId":%d,"cloudletCode":"%s","capabilities":["View","Edit","Activate","AdvancedEdit"]}`, t.id, t.code))
		}
	}
	for _, property := range properties {
		names = append(names, quote(property))
	}
	a.groups = append(a.groups, template(`{"location":"/cloudlets/api/v2/group-info/%d","serviceVersion":null,"apiVersion":"2.0",`+
		`"groupId":%d,"groupName":%s,"parentId":%d,"capabilities":%s,"properties":%s}`, id, id, quote(name), parent,
		list(capabilities).joined(), list(names).joined()))
}

// SetCapabilities says what may be done with policies of a type in a group; with none of it the group does not name the type.
func (a *Account) SetCapabilities(group int64, code string, capabilities ...string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, g := range a.groups {
		if n, ok := g.number("groupId"); !ok || n != group {
			continue
		}
		elements, err := parseArray(g.get("capabilities"))
		if err != nil {
			return err
		}
		elements = slices.DeleteFunc(elements, func(e []byte) bool { return splitObject(e).text("cloudletCode") == code })
		if len(capabilities) > 0 {
			var names [][]byte
			for _, c := range capabilities {
				names = append(names, quote(c))
			}
			elements = append(elements, fmt.Appendf(nil, `{"cloudletCode":%s,"capabilities":%s}`, quote(code), list(names).joined()))
		}
		a.groups[i] = g.copied().set("capabilities", list(elements).joined())
		return nil
	}
	return fmt.Errorf("group %d: not in the account", group)
}

// AddPolicy adds a policy: a v2 one with an empty version 1, a v3 one without versions.
func (a *Account) AddPolicy(n NewPolicy) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	kind, known := typeByCode(n.Type)
	if !known || n.Shared && kind.shared == "" || !n.Shared && kind.legacy == "" {
		return 0, fmt.Errorf("add policy %q: type %q does not exist there", n.Name, n.Type)
	}
	if n.ID != 0 {
		if p, _ := a.find(n.ID); p != nil {
			return 0, fmt.Errorf("add policy %q: id %d exists", n.Name, n.ID)
		}
		next := a.nextPolicy
		a.nextPolicy = n.ID
		defer func() { a.nextPolicy = max(next, a.nextPolicy) }()
	}
	if n.Shared {
		return a.createShared(kind, n.Group, n.Name, quote(n.Description)).id, nil
	}
	return a.createLegacy(kind, n.Group, n.Name, quote(n.Description), ruleList{{}}).id, nil
}

// AddUse lets a property of a group use a v2 policy, with the version of the property that is active on each network, or 0.
func (a *Account) AddUse(id int64, property string, group, staging, production int64) error {
	return a.changePolicy(id, func(p *policy) error {
		state := func(n int64) []byte {
			if n == 0 {
				return []byte("null")
			}
			return template(`{"activatedBy":"jsmith","activationDate":"2015-08-25","cloudletsOrigins":{},"version":%d,"referencedPolicies":[%s]}`,
				n, quote(p.name)).bytes()
		}
		held := a.hold(p)
		held.properties = held.properties.copied().set(property, template(`{"groupId":%d,"name":%s,"newestVersion":%s,"production":%s,"staging":%s}`,
			group, quote(property), state(max(staging, production, 1)), state(production), state(staging)).bytes())
		return nil
	})
}

// AddVersion adds a version with rules, a JSON array, and gives its number.
func (a *Account) AddVersion(id int64, description, rules string) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.find(id)
	if err != nil {
		return 0, err
	}
	taken, err := outsideRules(rules, fmt.Sprintf("%d/%d", p.id, p.next()))
	if err != nil {
		return 0, fmt.Errorf("add version of policy %d: %w", id, err)
	}
	a.hold(p)
	if p.shared {
		return a.addSharedVersion(p, p.next(), quote(description), taken).number, nil
	}
	return a.addLegacyVersion(p, quote(description), taken).number, nil
}

func outsideRules(text, salt string) (ruleList, error) {
	elements, err := parseArray([]byte(text))
	if err != nil {
		return nil, err
	}
	group := make([]rule, len(elements))
	for i, element := range elements {
		if element[0] != '{' {
			return nil, fmt.Errorf("rule %d: expected OBJECT, but got %s", i, kindOf(element))
		}
		group[i] = dress(splitObject(element), salt, i)
	}
	return ruleList{group}, nil
}

// EditRules replaces the rules of a version, locked or not, as an edit of now.
func (a *Account) EditRules(id, number int64, rules string) error {
	return a.change(id, number, func(p *policy, v *version) error {
		taken, err := outsideRules(rules, fmt.Sprintf("%d/%d", p.id, number))
		if err != nil {
			return err
		}
		a.holdVersion(p, v).rules = taken
		if p.shared {
			a.touchShared(p, v)
		} else {
			a.touchLegacy(p, v)
		}
		return nil
	})
}

// SetVersionMember sets one member of a version to a JSON text and leaves revision and dates alone.
func (a *Account) SetVersionMember(id, number int64, key, value string) error {
	return a.change(id, number, func(p *policy, v *version) error {
		flat, err := compact([]byte(value))
		if err != nil {
			return err
		}
		held := a.holdVersion(p, v)
		held.doc = held.doc.copied().set(key, flat)
		return nil
	})
}

// SetPolicyMember sets one member of a policy to a JSON text and leaves its dates alone.
func (a *Account) SetPolicyMember(id int64, key, value string) error {
	return a.changePolicy(id, func(p *policy) error {
		flat, err := compact([]byte(value))
		if err != nil {
			return err
		}
		held := a.hold(p)
		held.doc = held.doc.copied().set(key, flat)
		if group, is := held.doc.number("groupId"); is {
			p.group = group
		}
		return nil
	})
}

// DeletePolicy hides a v2 policy and removes a v3 one, active or not.
func (a *Account) DeletePolicy(id int64) error {
	return a.changePolicy(id, func(p *policy) error {
		if p.shared {
			a.shared.remove(p.id)
			return nil
		}
		a.deleteLegacy(p, true)
		return nil
	})
}

// UndeletePolicy shows a hidden v2 policy again.
func (a *Account) UndeletePolicy(id int64) error {
	return a.changePolicy(id, func(p *policy) error {
		if p.shared {
			return fmt.Errorf("policy %d is shared", id)
		}
		a.deleteLegacy(p, false)
		return nil
	})
}

// RemovePolicy makes a policy answer 404 from now on.
func (a *Account) RemovePolicy(id int64) error {
	return a.changePolicy(id, func(p *policy) error {
		a.shared.remove(p.id)
		if !p.shared {
			a.legacy.remove(p.id)
		}
		return nil
	})
}

// RenamePolicy gives a policy another name, whatever is associated with it.
func (a *Account) RenamePolicy(id int64, name string) error {
	return a.changePolicy(id, func(p *policy) error {
		held := a.hold(p)
		p.name = name
		held.doc = held.doc.copied().set("name", quote(name))
		return nil
	})
}

// DeleteVersion hides a version of a v2 policy and removes one of a v3 policy, active or not.
func (a *Account) DeleteVersion(id, number int64) error {
	return a.change(id, number, func(p *policy, v *version) error {
		if p.shared {
			a.dropVersion(p, number)
			return nil
		}
		a.markVersion(p, v, true)
		return nil
	})
}

// UndeleteVersion shows a hidden version of a v2 policy again.
func (a *Account) UndeleteVersion(id, number int64) error {
	return a.change(id, number, func(p *policy, v *version) error {
		a.markVersion(p, v, false)
		return nil
	})
}

// Activate makes a version active on a network at once; network is staging or production, in any case.
func (a *Account) Activate(id, number int64, network string) error {
	return a.change(id, number, func(p *policy, v *version) error {
		now := a.clock()
		if p.shared {
			id := a.startShared(p, v, strings.ToUpper(network), "ACTIVATION", now)
			a.finishShared(p, id, now, "")
			return nil
		}
		var properties []object
		for _, m := range a.view(p).properties {
			properties = append(properties, splitObject(m.value).copied().set("name", quote(m.key)))
		}
		name := legacyNetwork(network)
		a.startLegacy(p, v, name, properties, now)
		a.finishLegacy(p, number, name, "")
		return nil
	})
}

// Deactivate takes a shared policy off a network at once.
func (a *Account) Deactivate(id int64, network string) error {
	return a.changePolicy(id, func(p *policy) error {
		network := strings.ToUpper(network)
		v := p.version(a.effective(p, network))
		if !p.shared || v == nil {
			return fmt.Errorf("no version is active on %s", network)
		}
		now := a.clock()
		a.finishShared(p, a.startShared(p, v, network, "DEACTIVATION", now), now, "")
		return nil
	})
}

func (a *Account) changePolicy(id int64, do func(p *policy) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.find(id)
	if err != nil {
		return err
	}
	a.hold(p)
	if err := do(p); err != nil {
		return fmt.Errorf("change policy %d: %w", id, err)
	}
	return nil
}

func (a *Account) change(id, number int64, do func(p *policy, v *version) error) error {
	return a.changePolicy(id, func(p *policy) error {
		v := p.version(number)
		if v == nil {
			return fmt.Errorf("no version %d", number)
		}
		return do(p, v)
	})
}
