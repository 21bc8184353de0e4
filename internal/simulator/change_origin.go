package simulator

import (
	"fmt"
	"strings"
)

// AddProperty adds a property that is active on both networks and, there, refers to v2 policies.
func (a *Account) AddProperty(name string, group int64, policies ...int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names [][]byte
	for _, id := range policies {
		p := a.legacy.byID[id]
		if p == nil {
			return fmt.Errorf("add property %s: no legacy policy %d", name, id)
		}
		names = append(names, quote(p.name))
	}
	doc := new(generator).propertyDoc(name, group, names)
	a.properties = a.properties.copied().set(name, doc)
	for _, id := range policies {
		held := a.hold(a.legacy.byID[id])
		held.properties = held.properties.copied().set(name, doc)
	}
	return nil
}

// AddOrigin adds a load balancing origin without versions.
func (a *Account) AddOrigin(id, description string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.addOrigin(id, balancing, "", quote(description))
}

// AddOriginVersion adds a load balancing version from a JSON object and gives its number.
func (a *Account) AddOriginVersion(id, text string) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.origin(id)
	if o == nil {
		return 0, fmt.Errorf("add version of origin %q: not in the account", id)
	}
	body, err := parseObject([]byte(text))
	if err != nil {
		return 0, fmt.Errorf("add version of origin %q: %w", id, err)
	}
	return a.addOriginVersion(o, body).number, nil
}

// ActivateOrigin makes a load balancing version active on a network at once.
func (a *Account) ActivateOrigin(id string, number int64, network string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.origin(id)
	if o == nil || o.version(number) == nil {
		return fmt.Errorf("activate origin %q version %d: not in the account", id, number)
	}
	v := o.version(number)
	v.doc = v.doc.copied().set("immutable", []byte("true"))
	network = strings.ToUpper(network)
	o.rows = append([]object{newOriginRow(o, number, network, "pending", a.user, a.clock())}, o.rows...)
	o.finish(number, network, "")
	return nil
}

// AddDefinedOrigin adds an origin as a property defines it: of type CUSTOMER, with a host name and without versions.
func (a *Account) AddDefinedOrigin(id, hostname string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.addOrigin(id, "CUSTOMER", hostname, []byte("null"))
}
