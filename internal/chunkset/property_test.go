package chunkset_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/cloudlet"
)

var update = flag.Bool("update", false, "write the golden files")

// chunk is one with its names and rows filled in.
func chunk(number, bucket, of int, others bool, hosts ...string) chunkset.Chunk {
	policy := chunkset.PolicyName("shop", number)
	return chunkset.Chunk{
		File: chunkset.ChunkFile(policy), Policy: policy, Bucket: bucket, Of: of, Hosts: hosts, OtherHosts: others,
		Rows: [2]int{number*10 - 9, number * 10},
	}
}

func dispatch(kind chunkset.Kind, key chunkset.Key, chunks ...chunkset.Chunk) chunkset.Dispatch {
	return chunkset.Dispatch{Kind: kind, Name: "shop", N: len(chunks), Key: key, Fill: 0.8, Chunks: chunks}
}

// dispatches are one of each sort.
func dispatches() map[string]chunkset.Dispatch {
	return map[string]chunkset.Dispatch{
		"single":        dispatch(chunkset.Single, "", chunk(1, 0, 1, false)),
		"hash":          dispatch(chunkset.Hash, chunkset.PathKey, chunk(1, 0, 3, false), chunk(2, 1, 3, false), chunk(3, 2, 3, false)),
		"hash-hostpath": dispatch(chunkset.Hash, chunkset.HostPathKey, chunk(1, 0, 2, false), chunk(2, 1, 2, false)),
		"host":          dispatch(chunkset.Host, "", chunk(1, 0, 1, false, "www.example.com", "example.com"), chunk(2, 0, 1, false, "shop.example.com")),
		"host-hash": dispatch(
			chunkset.Host, chunkset.PathKey, chunk(1, 0, 1, false, "www.example.com", "example.com"),
			chunk(2, 0, 3, false, "shop.example.com"), chunk(3, 1, 3, false, "shop.example.com"), chunk(4, 2, 3, false, "shop.example.com"),
			chunk(5, 0, 2, true), chunk(6, 1, 2, true),
		),
		"host-others": dispatch(chunkset.Host, "", chunk(1, 0, 1, true)),
		"sequence":    dispatch(chunkset.Sequence, "", chunk(1, 0, 1, false), chunk(2, 0, 1, false)),
	}
}

func TestPropertyRules(t *testing.T) {
	for name, d := range dispatches() {
		for _, api := range []cloudlet.API{cloudlet.V2, cloudlet.V3} {
			t.Run(fmt.Sprintf("%s-%s", name, api), func(t *testing.T) {
				if err := d.Check(); err != nil {
					t.Fatal(err)
				}
				got := chunkset.PropertyRules(d, api)
				golden := filepath.Join("testdata", fmt.Sprintf("%s-%s.json", name, api))
				if *update {
					if err := os.WriteFile(golden, got, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("property rules differ from %s; run with -update and look at the difference:\n%s", golden, got)
				}
				fillIn(t, d, got)
			})
		}
	}
}

// fillIn sets all ids and looks that nothing but them has changed.
func fillIn(t *testing.T, d chunkset.Dispatch, rules []byte) {
	t.Helper()
	ids := map[string]int64{"someone_elses": 1}
	for i, c := range d.Chunks {
		ids[c.Policy] = int64(1000 + i)
	}
	got, err := chunkset.SetPolicyIDs(rules, ids)
	if err != nil {
		t.Fatal(err)
	}
	null := regexp.MustCompile(`(cloudletSharedPolicy|id)": null`)
	i := 999
	want := null.ReplaceAllStringFunc(string(rules), func(s string) string {
		i++
		return strings.Replace(s, "null", strconv.Itoa(i), 1)
	})
	if string(got) != want || i != 999+len(d.Chunks) {
		t.Errorf("with ids:\n%s\nwant:\n%s", got, want)
	}
	again, err := chunkset.SetPolicyIDs(got, nil) // a second import that made nothing
	if err != nil || !bytes.Equal(got, again) {
		t.Errorf("without ids, those that are there do not stay: %v", err)
	}
	for name := range ids {
		ids[name] += 1000000
	}
	if _, err := chunkset.SetPolicyIDs(got, ids); err != nil {
		t.Error(err)
	}
	if back, err := chunkset.SetPolicyIDs(rules, ids); err != nil || bytes.Equal(back, got) {
		t.Errorf("with other ids: %v, or the same text", err)
	}
}

func TestSetPolicyIDs(t *testing.T) {
	const redirector = `{"options":{"cloudletSharedPolicy" : null, "x":[null]}, "name":"edgeRedirector"}`
	for _, tt := range []struct {
		name, rules, want string
		ids               map[string]int64
	}{
		{"name comes last", `{"rule":{"behaviors":[` + redirector + `],"name":"a"}}`, `"cloudletSharedPolicy" : 7, "x":[null]`, map[string]int64{"a": 7}},
		{"others stay", `{"rule":{"name":"a","behaviors":[{"name":"forwardRewrite","options":{"cloudletSharedPolicy":null}}]}}`, `null`, map[string]int64{"a": 7}},
		{"children first", `{"rule":{"children":[{"name":"b","behaviors":[` + redirector + `]}],"name":"a","behaviors":[` + redirector + `]}}`, "", map[string]int64{"a": 7, "b": 8}},
		{"all that miss", `{"rule":{"children":[{"name":"b","behaviors":[` + redirector + `]},{"name":"c","behaviors":[` + redirector + `]}],"name":"a","behaviors":[` + redirector + `]}}`, `!no id for "b", "a"`, map[string]int64{"a": 0, "c": 8}},
		{"not JSON", `{"rule":`, `!not JSON`, nil},
		{"no rule", `{}`, `!no rule`, nil},
		{"no object", `[]`, `!no object`, nil},
		{"rule is none", `{"rule":1}`, `!at byte 8: no object`, nil},
		{"twice", `{"rule":{"name":"a","name":"b"}}`, `!name is there twice`, nil},
		{"id is text", `{"rule":{"name":"a","behaviors":[{"name":"edgeRedirector","options":{"cloudletSharedPolicy":"7"}}]}}`, `!has the id "7"`, nil},
		{"no place", `{"rule":{"name":"a","behaviors":[{"name":"edgeRedirector","options":{}}]}}`, `!rule "a": its edgeRedirector behavior has no place`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := chunkset.SetPolicyIDs([]byte(tt.rules), tt.ids)
			if want, bad := strings.CutPrefix(tt.want, "!"); bad {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
				return
			}
			if err != nil || !json.Valid(got) || !strings.Contains(string(got), tt.want) {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
			if tt.name == "children first" {
				b, a := strings.Index(string(got), " : 8"), strings.Index(string(got), " : 7")
				if b < 0 || a < b {
					t.Errorf("got %s", got)
				}
			}
		})
	}
}

func TestCheck(t *testing.T) {
	host := func(chunks ...chunkset.Chunk) chunkset.Dispatch {
		return dispatch(chunkset.Host, chunkset.PathKey, chunks...)
	}
	with := func(change func(*chunkset.Dispatch)) chunkset.Dispatch {
		d := dispatches()["hash"]
		d.Chunks = slices.Clone(d.Chunks)
		change(&d)
		return d
	}
	for want, d := range map[string]chunkset.Dispatch{
		`kind "x" is not known`:            with(func(d *chunkset.Dispatch) { d.Kind = "x" }),
		`key "x" is not known`:             with(func(d *chunkset.Dispatch) { d.Key = "x" }),
		"needs a key":                      with(func(d *chunkset.Dispatch) { d.Key = "" }),
		"no chunks":                        with(func(d *chunkset.Dispatch) { d.Chunks = nil }),
		"n is 4, and there are 3":          with(func(d *chunkset.Dispatch) { d.N = 4 }),
		"fill -1":                          with(func(d *chunkset.Dispatch) { d.Fill = -1 }),
		`name "a-b"`:                       with(func(d *chunkset.Dispatch) { d.Name = "a-b" }),
		"bucket 3 of 3":                    with(func(d *chunkset.Dispatch) { d.Chunks[1].Bucket = 3 }),
		"holds bucket 2 and is to be":      with(func(d *chunkset.Dispatch) { d.Chunks[1].Bucket = 2 }),
		"is one of 5 buckets":              with(func(d *chunkset.Dispatch) { d.Chunks[1].Of = 5 }),
		"shop_001 has a chunk already":     with(func(d *chunkset.Dispatch) { d.Chunks[1] = d.Chunks[0] }),
		"rows 0 to 3":                      with(func(d *chunkset.Dispatch) { d.Chunks[1].Rows = [2]int{0, 3} }),
		"rows 4 to 3":                      with(func(d *chunkset.Dispatch) { d.Chunks[1].Rows = [2]int{4, 3} }),
		`policy "shop_02"`:                 with(func(d *chunkset.Dispatch) { d.Chunks[1].Policy = "shop_02" }),
		`policy "shop_0002"`:               with(func(d *chunkset.Dispatch) { d.Chunks[1].Policy = "shop_0002" }),
		`policy "shop_000"`:                with(func(d *chunkset.Dispatch) { d.Chunks[1].Policy = "shop_000" }),
		`file "../shop_002.json"`:          with(func(d *chunkset.Dispatch) { d.Chunks[1].File = "../shop_002.json" }),
		"hosts have no meaning":            with(func(d *chunkset.Dispatch) { d.Chunks[1].OtherHosts = true }),
		"kind single has one chunk":        with(func(d *chunkset.Dispatch) { d.Kind = chunkset.Single }),
		`host "a" has another chunk`:       host(chunk(1, 0, 1, false, "a"), chunk(2, 0, 1, false, "A")),
		`"b" has another chunk`:            host(chunk(1, 0, 2, false, "b"), chunk(2, 0, 2, false, "b")),
		`"c" has another chunk`:            host(chunk(1, 0, 2, false, "c"), chunk(2, 1, 3, false, "c")),
		"all other hosts has another":      host(chunk(1, 0, 1, true), chunk(2, 0, 1, true)),
		"of all other hosts only 1":        host(chunk(1, 0, 2, true)),
		`of host "a" only 2 are here`:      host(chunk(1, 0, 3, false, "a"), chunk(2, 1, 3, false, "a")),
		"is for hosts or for all others":   host(chunk(1, 0, 1, true, "a")),
		"shop_001.json is for hosts or":    host(chunk(1, 0, 1, false)),
		"has a host without a name":        host(chunk(1, 0, 1, false, "a", "")),
		"policy's name has at most 64":     {Kind: chunkset.Hash, Name: strings.Repeat("n", 61), N: 1, Chunks: make([]chunkset.Chunk, 1)},
		"kind single has one chunk, bucke": dispatch(chunkset.Single, "", chunk(1, 0, 2, false)),
	} {
		if err := d.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestNames(t *testing.T) {
	for number, want := range map[int]string{1: "n_001", 999: "n_999", 1000: "n_1000"} {
		if got := chunkset.PolicyName("n", number); got != want {
			t.Errorf("policy %d is %s, want %s", number, got, want)
		}
	}
	for _, tt := range []struct {
		name     string
		policies int
		ok       bool
	}{
		{"Shop_2", 1, true},
		{"_", 0, true},
		{"", 1, false},
		{"a-b", 1, false},
		{"a/b", 1, false},
		{"ä", 1, false},
		{"a@", 1, false},
		{"a[", 1, false},
		{"a\n", 1, false},
		{strings.Repeat("x", 60), 999, true},
		{strings.Repeat("x", 60), 1000, false},
		{strings.Repeat("x", 61), 1, false},
	} {
		if err := chunkset.CheckName(tt.name, tt.policies); (err == nil) != tt.ok {
			t.Errorf("CheckName(%q, %d) = %v", tt.name, tt.policies, err)
		}
	}
}
