package redirect

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// optionsDoc are the options of every behavior and criterion that this package reads. An option that another behavior
// uses in another way is not decoded before it is needed.
type optionsDoc map[string]json.RawMessage

func (o optionsDoc) has(name string) bool {
	raw, ok := o[name]
	return ok && string(raw) != "null"
}

func (o optionsDoc) text(name string) (string, error) {
	var text *string
	if err := json.Unmarshal(o.raw(name), &text); err != nil || text == nil {
		return "", fmt.Errorf("option %s is missing or not a text", name)
	}
	return *text, nil
}

func (o optionsDoc) texts(name string) ([]string, error) {
	var texts []string
	if err := json.Unmarshal(o.raw(name), &texts); err != nil || texts == nil {
		return nil, fmt.Errorf("option %s is missing or not a list of texts", name)
	}
	return texts, nil
}

// boolean is false where the option is missing.
func (o optionsDoc) boolean(name string) (bool, error) {
	var value bool
	if err := json.Unmarshal(o.raw(name), &value); err != nil {
		return false, fmt.Errorf("option %s is not true or false", name)
	}
	return value, nil
}

// number is a whole number, or a text that is one.
func (o optionsDoc) number(name string) (int64, error) {
	text := string(o.raw(name))
	if unquoted, err := o.text(name); err == nil {
		text = unquoted
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("option %s is not a whole number: %s", name, text)
	}
	return n, nil
}

// raw is null where the option is missing.
func (o optionsDoc) raw(name string) json.RawMessage {
	if raw, ok := o[name]; ok {
		return raw
	}
	return json.RawMessage("null")
}
