package chunkset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"cloudletmig/internal/cloudlet"
)

// Kind is how requests are spread over the chunks.
type Kind string

// The kinds.
const (
	Single   Kind = "single"   // one chunk takes all
	Hash     Kind = "hash"     // by a hash of the path
	Host     Kind = "host"     // by host; a host too big by a hash among its own chunks
	Sequence Kind = "sequence" // not at all: consecutive rows, and the property must choose
)

// Key is what a hash is taken of. It is empty where none is.
type Key string

// The keys. Either is %-decoded once and lower-cased before it is hashed.
const (
	PathKey     Key = "path"
	HostPathKey Key = "host+path"
)

// Dispatch says which request belongs to which chunk. N is the number of chunks; of kind hash, those are the buckets.
type Dispatch struct {
	Kind   Kind    `json:"kind"`
	Name   string  `json:"name"` // before the policies' numbers
	N      int     `json:"n"`
	Key    Key     `json:"key,omitempty"`
	Fill   float64 `json:"fill"` // how full a bucket may be, of both limits
	Chunks []Chunk `json:"chunks"`
}

// Chunk is one future policy. Of kind hash it is one bucket of all; of kind host it is for some hosts, or it is one bucket
// of a hash set that one host, or all other hosts, have for themselves. Of is the number of buckets in its hash set, and
// Bucket its place there, from 0; without one they are 1 and 0.
type Chunk struct {
	File       string   `json:"file"`
	Policy     string   `json:"policy"`
	Bucket     int      `json:"bucket"`
	Of         int      `json:"of"`
	Hosts      []string `json:"hosts"` // never null in JSON
	OtherHosts bool     `json:"otherHosts"`
	// Rows are the first and the last position in the sheets of what is in it, counted from 1 over all rows read; both are
	// 0 when it is empty.
	Rows [2]int `json:"rows"`
}

// MarshalJSON writes no hosts as [].
func (c Chunk) MarshalJSON() ([]byte, error) {
	type plainChunk Chunk
	if c.Hosts == nil {
		c.Hosts = []string{}
	}
	return cloudlet.Marshal(plainChunk(c), "")
}

// parseDispatch reads dispatch.json: no other members than ours, and only what Check agrees to.
func parseDispatch(doc []byte) (Dispatch, error) {
	var d Dispatch
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return Dispatch{}, fmt.Errorf("read %s: %w", DispatchFile, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Dispatch{}, fmt.Errorf("read %s: something follows the dispatch", DispatchFile)
	}
	for i := range d.Chunks {
		if d.Chunks[i].Hosts == nil {
			d.Chunks[i].Hosts = []string{}
		}
	}
	if err := d.Check(); err != nil {
		return Dispatch{}, fmt.Errorf("read %s: %w", DispatchFile, err)
	}
	return d, nil
}

// Check says where d makes no sense: every request must belong to one chunk at most, every chunk to one policy and one
// file in the folder.
func (d Dispatch) Check() error {
	if len(d.Chunks) == 0 {
		return errors.New("no chunks")
	}
	if err := CheckName(d.Name, len(d.Chunks)); err != nil {
		return err
	}
	if d.N != len(d.Chunks) {
		return fmt.Errorf("n is %d, and there are %d chunks", d.N, len(d.Chunks))
	}
	if d.Fill < 0 || d.Fill > 1 {
		return fmt.Errorf("fill %v: not between 0 and 1", d.Fill)
	}
	if d.Key != "" && d.Key != PathKey && d.Key != HostPathKey {
		return fmt.Errorf("key %q is not known", d.Key)
	}
	policies := map[string]bool{}
	for i, c := range d.Chunks {
		err := d.checkChunk(c)
		if err == nil && policies[c.Policy] {
			err = fmt.Errorf("policy %s has a chunk already", c.Policy)
		}
		if err != nil {
			return fmt.Errorf("chunk %d: %w", i+1, err)
		}
		policies[c.Policy] = true
	}
	return d.checkKind()
}

// checkChunk looks at one chunk for itself.
func (d Dispatch) checkChunk(c Chunk) error {
	number, ok := strings.CutPrefix(c.Policy, d.Name+"_")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 || c.Policy != PolicyName(d.Name, n) {
		return fmt.Errorf("policy %q is not named like %s", c.Policy, PolicyName(d.Name, 1))
	}
	if len(c.Policy) > maxName {
		return fmt.Errorf("policy %s: a name has at most %d characters", c.Policy, maxName)
	}
	if c.File != ChunkFile(c.Policy) {
		return fmt.Errorf("file %q of policy %s is not %s in this folder", c.File, c.Policy, ChunkFile(c.Policy))
	}
	if c.Of < 1 || c.Bucket < 0 || c.Bucket >= c.Of {
		return fmt.Errorf("bucket %d of %d: they count from 0", c.Bucket, c.Of)
	}
	if c.Rows != [2]int{} && (c.Rows[0] < 1 || c.Rows[1] < c.Rows[0]) {
		return fmt.Errorf("rows %d to %d: they count from 1", c.Rows[0], c.Rows[1])
	}
	if d.Kind == Hash && n != c.Bucket+1 {
		return fmt.Errorf("policy %s holds bucket %d and is to be %s", c.Policy, c.Bucket, PolicyName(d.Name, c.Bucket+1))
	}
	if d.Kind != Host && (len(c.Hosts) > 0 || c.OtherHosts) {
		return fmt.Errorf("hosts have no meaning in kind %q", d.Kind)
	}
	if d.hashed(c) && d.Key == "" {
		return errors.New("a hash set needs a key")
	}
	return nil
}

// hashed says whether c is a bucket that a hash chooses.
func (d Dispatch) hashed(c Chunk) bool {
	return d.Kind == Hash || d.Kind == Host && c.Of > 1
}

func (d Dispatch) checkKind() error {
	switch d.Kind {
	case Single:
		if len(d.Chunks) != 1 || d.Chunks[0].Of != 1 {
			return fmt.Errorf("kind single has one chunk, bucket 0 of 1, and this has %d", len(d.Chunks))
		}
	case Hash:
		for _, c := range d.Chunks { // names are unique and go by bucket, so that all are there
			if c.Of != d.N {
				return fmt.Errorf("chunk %s is one of %d buckets, and n is %d", c.File, c.Of, d.N)
			}
		}
	case Host:
		return d.checkHosts()
	case Sequence:
	default:
		return fmt.Errorf("kind %q is not known", d.Kind)
	}
	return nil
}

// otherHosts stands for all hosts that no chunk names.
const otherHosts = ""

// forHosts are the hosts that c is for, in lower case.
func (c Chunk) forHosts() []string {
	if c.OtherHosts {
		return []string{otherHosts}
	}
	hosts := make([]string, len(c.Hosts))
	for i, host := range c.Hosts {
		hosts[i] = strings.ToLower(host)
	}
	return hosts
}

// checkHosts sees to it that every host has one chunk, or one whole hash set.
func (d Dispatch) checkHosts() error {
	sets := map[string][]Chunk{}
	for _, c := range d.Chunks {
		if c.OtherHosts == (len(c.Hosts) > 0) {
			return fmt.Errorf("chunk %s is for hosts or for all others", c.File)
		}
		if slices.Contains(c.Hosts, "") {
			return fmt.Errorf("chunk %s has a host without a name", c.File)
		}
		for _, host := range c.forHosts() {
			if slices.ContainsFunc(sets[host], func(o Chunk) bool { return o.Of != c.Of || o.Bucket == c.Bucket }) {
				return fmt.Errorf("chunk %s: %s has another chunk for the same requests", c.File, hostWords(host))
			}
			sets[host] = append(sets[host], c)
		}
	}
	for _, c := range d.Chunks {
		for _, host := range c.forHosts() {
			if n := len(sets[host]); n != c.Of {
				return fmt.Errorf("chunk %s: of the %d buckets of %s only %d are here", c.File, c.Of, hostWords(host), n)
			}
		}
	}
	return nil
}

func hostWords(host string) string {
	if host == otherHosts {
		return "all other hosts"
	}
	return "host " + strconv.Quote(host)
}
