package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Credentials are what a caller must sign with. Host is the host, with port, that callers must sign for; when it is
// empty the request's own Host header is taken. With an AccountKey every request must carry accountSwitchKey exactly once.
type Credentials struct {
	Host, ClientToken, ClientSecret, AccessToken string
	AccountKey                                   string
}

const (
	signedBody      = 131072 // bytes of a POST body that the content hash covers
	usualSkew       = 30 * time.Second
	timestampLayout = "20060102T15:04:05-0700"
)

// authorization is the whole header: the members in this order and nothing else (EdgeGrid authentication).
var authorization = regexp.MustCompile(
	`^(EG1-HMAC-SHA256 client_token=([^;\s]+);access_token=([^;\s]+);timestamp=(\d{8}T\d\d:\d\d:\d\d\+0000);nonce=([^;\s]+);)signature=([A-Za-z0-9+/=]+)$`)

// guard checks signatures and remembers nonces for as long as their timestamps would be taken.
type guard struct {
	off  bool
	cred Credentials
	skew time.Duration

	mu     sync.Mutex
	nonces map[string]time.Time // until when a nonce is refused
	swept  time.Time
}

func newGuard(opt Options) *guard {
	g := &guard{off: opt.NoAuth, cred: opt.Credentials, skew: opt.Skew, nonces: map[string]time.Time{}}
	if g.skew == 0 {
		g.skew = usualSkew
	}
	return g
}

// host sets the host and port that callers must sign for, makes tokens where there are none, and gives them all.
func (g *guard) host(host string) Credentials {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cred.ClientToken == "" {
		key := g.cred.AccountKey
		g.cred = NewCredentials()
		g.cred.AccountKey = key
	}
	g.cred.Host = host
	return g.cred
}

// check refuses a call that is not signed as the credentials demand.
func (g *guard) check(c *call, header string) error {
	if g.off {
		return nil
	}
	part := authorization.FindStringSubmatch(header)
	if part == nil {
		return &problem{
			status: http.StatusUnauthorized, title: "Bad request", gateway: true,
			detail: "Invalid or missing EdgeGrid authorization header",
		}
	}
	signed, client, access, timestamp, nonce, signature := part[1], part[2], part[3], part[4], part[5], part[6]
	g.mu.Lock()
	defer g.mu.Unlock()
	at, err := time.Parse(timestampLayout, timestamp)
	switch {
	case err != nil || c.now.Sub(at).Abs() > g.skew:
		return unauthorized("Invalid timestamp")
	case client != g.cred.ClientToken:
		return unauthorized("Invalid client token")
	case access != g.cred.AccessToken:
		return unauthorized("Invalid access token")
	case !hmac.Equal([]byte(signature), []byte(g.sign(c, signed, timestamp))):
		return unauthorized("The signature does not match")
	case g.seen(nonce, c.now):
		return unauthorized("Invalid nonce")
	}
	return g.switchKey(c)
}

// sign computes what the signature must be: the message is method, scheme, host, path and query, signed headers (none),
// content hash and the header without its signature, between tabs; the key is the timestamp signed with the secret.
func (g *guard) sign(c *call, signed, timestamp string) string {
	host := g.cred.Host
	if host == "" {
		host = c.host
	}
	hash := ""
	if c.method == http.MethodPost && len(c.body) > 0 {
		sum := sha256.Sum256(c.body[:min(len(c.body), signedBody)])
		hash = base64.StdEncoding.EncodeToString(sum[:])
	}
	message := strings.Join([]string{c.method, "https", host, c.target, "", hash, signed}, "\t")
	return mac(message, mac(timestamp, g.cred.ClientSecret))
}

func mac(message, key string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(message))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// seen says whether the nonce was used before, and remembers it.
func (g *guard) seen(nonce string, now time.Time) bool {
	if now.Sub(g.swept) > g.skew {
		for n, until := range g.nonces {
			if now.After(until) {
				delete(g.nonces, n)
			}
		}
		g.swept = now
	}
	if _, used := g.nonces[nonce]; used {
		return true
	}
	g.nonces[strings.Clone(nonce)] = now.Add(2*g.skew + time.Second)
	return false
}

func (g *guard) switchKey(c *call) error {
	keys := c.query["accountSwitchKey"]
	switch {
	case len(keys) > 1:
		return &problem{
			status: http.StatusBadRequest, title: "Bad request", gateway: true,
			detail: "accountSwitchKey given more than once",
		}
	case g.cred.AccountKey != "" && !slices.Equal(keys, []string{g.cred.AccountKey}):
		return &problem{
			status: http.StatusForbidden, title: "Forbidden", gateway: true,
			detail: "You are not authorized to access this account",
		}
	}
	return nil
}
