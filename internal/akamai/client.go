// Package akamai speaks Cloudlets v2 and v3 over HTTPS: it signs, pages, obeys limits, repeats reads, sends each change
// at most once, and says of every attempt what it did to the account. It is the only importer of Akamai's SDK.
package akamai

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// maxSkew is how far this machine's clock may be from the server's before a refused signature is put down to it.
const maxSkew = 30 * time.Second

// Options say how a Client behaves. The zero value is ready to use.
type Options struct {
	// Workers is the largest number of requests in flight; default 8.
	Workers int
	// RPS caps requests per second; 0 is no cap of our own.
	RPS float64
	// Retries is the number of attempts that a read gets; default 8.
	Retries int
	// Timeout bounds each attempt: connection, headers and body; default 60 s.
	Timeout time.Duration
	// Backoff is about the first wait between two attempts of a read; it doubles up to 64 times itself; default 500 ms.
	Backoff time.Duration
	// CAFile names a PEM file of certificates to trust beside the system's.
	CAFile string
	// UserAgent is sent as such; default "cloudletmig".
	UserAgent string
	// Log gets a line per attempt and one per wait for a limit at level debug; default none.
	Log *slog.Logger
	// Transport replaces the network, for tests.
	Transport http.RoundTripper
	// Now is the clock that server times are compared with; default time.Now.
	Now func() time.Time
	// MaxAnswer bounds the bytes of one answer's body; default 256 MiB.
	MaxAnswer int64
	// Valid says whether a body is JSON; default json.Valid. It is called from many goroutines at once.
	Valid func([]byte) bool
}

// Client reads from and writes to one account. It is safe for concurrent use.
type Client struct {
	creds     Credentials
	opts      Options
	sign      func(*http.Request) // a function, so that printing a Client shows an address
	transport http.RoundTripper
	own       *http.Transport // nil when the transport was given
	gate      *gate
	limiter   *rate.Limiter
	log       *slog.Logger
	now       func() time.Time
	scrub     scrubber
	scratch   sync.Pool   // of *bytes.Buffer
	spare     chan []byte // memory of documents that were given back
	answered  atomic.Bool // whether the host ever answered
	count     counters
}

type counters struct{ requests, retries, throttled, bytes atomic.Int64 }

// Stats are what a Client has done so far.
type Stats struct {
	Requests  int64         // attempts sent
	Retries   int64         // attempts beyond the first of their read
	Throttled int64         // answers with status 429
	Bytes     int64         // of bodies received, unpacked
	Waited    time.Duration // wall time in which the server's limits held all requests back
	Paused    time.Duration // how much longer they hold them back
	InFlight  int           // the present cap on requests in flight
}

// New makes a client for the account of creds. An unusable CA file is an ErrConfig.
func New(creds Credentials, opts Options) (*Client, error) {
	if creds.Source == "" {
		creds.Source = "the credentials"
	}
	if err := checkHost(creds.Host, creds.Source); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	c := &Client{
		creds:     creds,
		opts:      opts,
		sign:      creds.config().SignRequest,
		transport: opts.Transport,
		gate:      newGate(opts.Workers),
		log:       opts.Log,
		now:       opts.Now,
		scrub:     newScrubber(creds),
		spare:     make(chan []byte, 2*opts.Workers),
	}
	if opts.RPS > 0 {
		c.limiter = rate.NewLimiter(rate.Limit(opts.RPS), 1)
	}
	if c.transport == nil {
		roots, err := roots(opts.CAFile)
		if err != nil {
			return nil, err
		}
		c.own = newTransport(opts, roots)
		c.transport = c.own
	}
	return c, nil
}

func (o Options) withDefaults() Options {
	if o.Workers < 1 {
		o.Workers = 8
	}
	if o.Retries < 1 {
		o.Retries = 8
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Backoff <= 0 {
		o.Backoff = 500 * time.Millisecond
	}
	if o.UserAgent == "" {
		o.UserAgent = "cloudletmig"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxAnswer <= 0 {
		o.MaxAnswer = 256 << 20
	}
	if o.Valid == nil {
		o.Valid = json.Valid
	}
	return o
}

// newTransport speaks HTTP/1.1 only: one connection a request in flight, and a trace that tells for certain whether
// the head of a request was written. Under HTTP/2 it is told only after the bytes have left.
func newTransport(o Options, roots *x509.CertPool) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: min(o.Timeout, 30*time.Second), KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               proxy,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout: min(o.Timeout, 30*time.Second), // a dial outlives the request that began it
		Protocols:           &protocols,
		MaxIdleConns:        o.Workers,
		MaxIdleConnsPerHost: o.Workers,
		IdleConnTimeout:     90 * time.Second,
		ReadBufferSize:      32 << 10,
		WriteBufferSize:     32 << 10,
	}
}

func proxy(r *http.Request) (addr *url.URL, err error) {
	addr, err = http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errors.New("HTTPS_PROXY is not a usable address") // its value may hold a password
	}
	return addr, nil
}

// roots are the system's certificates and those of file; nil, the system's alone, when no file is named.
func roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, &configError{text: "read the CA file", hint: "--ca-file takes a file of PEM certificates", cause: err}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, unusable("--ca-file takes a file of PEM certificates", "the CA file %s holds no certificate", file)
	}
	return pool, nil
}

// Close lets go of idle connections.
func (c *Client) Close() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// Stats counts what was done so far.
func (c *Client) Stats() Stats {
	limit, waited, left := c.gate.state()
	return Stats{
		Requests:  c.count.requests.Load(),
		Retries:   c.count.retries.Load(),
		Throttled: c.count.throttled.Load(),
		Bytes:     c.count.bytes.Load(),
		Waited:    waited,
		Paused:    left,
		InFlight:  limit,
	}
}
