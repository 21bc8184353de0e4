package upgrade

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/snapshot"
)

// The columns of a plan as CSV. People may change new_name, new_group and method, empty the two of activation (or say yes
// there: whichever is live), and take lines out; the others are there to be read, and the versions to be held against what
// is there when the plan is carried out.
var columns = []string{ //nolint:gochecknoglobals // a constant in all but syntax
	"account", "id", "name", "type", "action", "new_name", "new_group", "method", "activate_staging", "activate_production", "carry", "content", "why",
}

// WriteCSV writes a plan as CSV.
func (p Plan) WriteCSV(to io.Writer) error {
	w := csv.NewWriter(to)
	if err := w.Write(columns); err != nil {
		return err
	}
	for _, x := range p.Policies {
		carry := make([]string, 0, len(x.Carry))
		for _, v := range x.Carry {
			carry = append(carry, strconv.FormatInt(v.Number, 10))
		}
		if err := w.Write([]string{
			p.Account, strconv.FormatInt(x.ID, 10), snapshot.Guard(x.Name), x.Type, string(x.Action), x.NewName, strconv.FormatInt(x.NewGroup, 10), x.Method,
			number(x.Activate[cloudlet.Staging]), number(x.Activate[cloudlet.Production]), strings.Join(carry, " "), content(x.Carry), snapshot.Guard(x.Why),
		}); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// Edited is a plan file as a person gave it back.
type Edited struct {
	Account string
	Edits   map[int64]Edit
	// Actions and Names are those of the file, by policy: what a person saw.
	Actions map[int64]Action
	Names   map[int64]string
}

// Hash tells plan files apart that say different things.
func (e Edited) Hash() string {
	text, _ := json.Marshal(e) // maps are encoded in order of their keys
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// ReadPlan reads a plan file, JSON or CSV. Its errors name the line or the policy.
func ReadPlan(text []byte) (Edited, error) {
	e := Edited{Edits: map[int64]Edit{}, Actions: map[int64]Action{}, Names: map[int64]string{}}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if len(bytes.TrimSpace(text)) == 0 {
		return e, errors.New("read plan: the file is empty")
	}
	if first := bytes.TrimSpace(text); len(first) > 0 && first[0] == '{' {
		err := e.readJSON(text)
		return e, err
	}
	err := e.readCSV(text)
	return e, err
}

func (e *Edited) add(where string, p Planned, content string) error {
	if _, twice := e.Edits[p.ID]; twice {
		return fmt.Errorf("%spolicy %d is there twice", where, p.ID)
	}
	if err := oneOfMethods(p.Method); err != nil {
		return fmt.Errorf("%s%w", where, err)
	}
	for on := range p.Activate {
		if !slices.Contains(networks(), on) {
			return fmt.Errorf("%snetwork %q: give staging or production", where, on)
		}
	}
	e.Edits[p.ID] = Edit{NewName: p.NewName, NewGroup: p.NewGroup, Method: p.Method, Activate: p.Activate, Carry: p.Carry, Content: content, Action: p.Action}
	e.Actions[p.ID], e.Names[p.ID] = p.Action, p.Name
	return nil
}

func oneOfMethods(method string) error {
	if !slices.Contains([]string{MethodAuto, MethodClone, MethodCopy}, method) {
		return fmt.Errorf("method %q: give one of auto, clone, copy", method)
	}
	return nil
}

func (e *Edited) readJSON(text []byte) error {
	var p Plan
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read plan: there is more behind the plan's end")
	}
	if p.Format != 1 {
		return fmt.Errorf("read plan: format %d is not known, only 1", p.Format)
	}
	e.Account = p.Account
	for i, x := range p.Policies {
		if err := e.add(fmt.Sprintf("policies[%d]: ", i), x, ""); err != nil {
			return err
		}
	}
	return nil
}

func (e *Edited) readCSV(text []byte) error {
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	if first, _, _ := bytes.Cut(text, []byte("\n")); !bytes.ContainsRune(first, ',') {
		r.Comma = ';' // as spreadsheets write it in some countries
	}
	header, err := r.Read()
	if err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	if !slices.Equal(header, columns) {
		return fmt.Errorf("read plan: line 1: the columns must be %s", strings.Join(columns, ","))
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read plan: %w", err)
		}
		line, _ := r.FieldPos(0)
		if err := e.row(row); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// row reads one line of a plan as CSV.
func (e *Edited) row(row []string) error {
	if len(row) != len(columns) {
		return fmt.Errorf("%d cells, not %d", len(row), len(columns))
	}
	p := Planned{Name: row[2], Type: row[3], Action: Action(row[4]), NewName: row[5], Method: row[7], Activate: map[cloudlet.Network]int64{}}
	var err error
	if p.ID, err = strconv.ParseInt(row[1], 10, 64); err != nil {
		return fmt.Errorf("id %q is no number", row[1])
	}
	if p.NewGroup, err = strconv.ParseInt(row[6], 10, 64); err != nil {
		return fmt.Errorf("new_group %q is no number", row[6])
	}
	for i, on := range map[int]cloudlet.Network{8: cloudlet.Staging, 9: cloudlet.Production} {
		switch cell := strings.ToLower(strings.TrimSpace(row[i])); cell {
		case "yes":
			p.Activate[on] = 0
		case "no", "":
		default:
			n, err := strconv.ParseInt(cell, 10, 64)
			if err != nil || n <= 0 {
				return fmt.Errorf("%s %q: give yes or nothing, or leave the number of the version", columns[i], row[i])
			}
			p.Activate[on] = n
		}
	}
	for field := range strings.FieldsSeq(row[10]) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return fmt.Errorf("carry %q is no number", field)
		}
		p.Carry = append(p.Carry, Version{Number: n})
	}
	if e.Account != "" && e.Account != row[0] {
		return errors.New("the lines are of plans for several accounts")
	}
	e.Account = row[0]
	return e.add("", p, strings.TrimSpace(row[11]))
}
