package akamai

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/akamai/AkamaiOPEN-edgegrid-golang/v7/pkg/edgegrid"
)

// Credentials are an API client of Akamai: where it speaks to and how it signs.
type Credentials struct {
	Host         string // HOST[:PORT], always reached by https
	ClientToken  Secret
	ClientSecret Secret
	AccessToken  Secret
	AccountKey   Secret   // account switch key; empty for the client's own account
	MaxBody      int      // how many bytes of a POST body are signed
	SignHeaders  []string // names of headers that are signed too
	Source       string   // where all this was found, for messages
}

// CredentialOptions say where to look for credentials.
type CredentialOptions struct {
	File       string // credentials file; default Home/.edgerc
	FileGiven  bool   // the user named File: it is used, whatever the environment holds
	Section    string // section of the file; default "default"
	AccountKey string // wins over the one that is found
	Env        func(string) (string, bool)
	Home       string
}

// The names of what is needed, as in a credentials file; in capitals in the environment.
const (
	keyHost         = "host"
	keyClientToken  = "client_token"
	keyClientSecret = "client_secret"
	keyAccessToken  = "access_token"
	keyAccountKey   = "account_key"
	keyMaxBody      = "max_body"
	keySignHeaders  = "headers_to_sign"
)

// LoadCredentials finds credentials: in the file that the user named, else in the environment, else in the default file.
// Warnings are for the user to read. Every error is an ErrConfig, names file, section and key, and never a secret.
func LoadCredentials(o CredentialOptions) (Credentials, []string, error) {
	if o.Section == "" {
		o.Section = edgegrid.DefaultSection
	}
	if o.Env == nil {
		o.Env = func(string) (string, bool) { return "", false }
	}
	prefix := envPrefix(o.Section)
	source := o.fromFile
	if host, _ := o.env(prefix + "HOST"); !o.FileGiven && host != "" {
		source = o.fromEnv
	}
	found, warnings, err := source(prefix)
	if err != nil {
		return Credentials{}, warnings, err
	}
	creds, err := found.credentials()
	if err != nil {
		return Credentials{}, warnings, err
	}
	if o.AccountKey != "" {
		creds.AccountKey = NewSecret(o.AccountKey)
	}
	return creds, warnings, nil
}

func (o CredentialOptions) env(name string) (string, bool) {
	value, ok := o.Env(name)
	return strings.TrimSpace(value), ok
}

// envPrefix is AKAMAI_, or AKAMAI_SECTION_ for other sections than the default.
func envPrefix(section string) string {
	if section == edgegrid.DefaultSection {
		return "AKAMAI_"
	}
	return "AKAMAI_" + strings.ToUpper(section) + "_"
}

// settings are names and values as found, and words for the messages about them.
type settings struct {
	values map[string]string // by the names of a file
	name   func(string) string
	place  string // follows "in" in messages
	hint   string
}

func (o CredentialOptions) fromEnv(prefix string) (settings, []string, error) {
	s := settings{
		values: make(map[string]string),
		name:   func(key string) string { return prefix + strings.ToUpper(key) },
		place:  "the environment",
	}
	s.hint = "set " + s.name(keyHost) + ", " + s.name(keyClientToken) + ", " + s.name(keyClientSecret) + " and " +
		s.name(keyAccessToken) + ", or name a file with --edgerc"
	for _, key := range []string{keyHost, keyClientToken, keyClientSecret, keyAccessToken, keyAccountKey, keyMaxBody} {
		if value, ok := o.env(s.name(key)); ok {
			s.values[key] = value
		}
	}
	return s, nil, nil
}

func (o CredentialOptions) path() string {
	switch {
	case o.File == "":
		return filepath.Join(o.Home, ".edgerc")
	case o.File == "~" || strings.HasPrefix(o.File, "~/"):
		return filepath.Join(o.Home, o.File[1:])
	}
	return o.File
}

func (s settings) credentials() (Credentials, error) {
	for _, key := range []string{keyHost, keyClientToken, keyClientSecret, keyAccessToken} {
		value, ok := s.values[key]
		switch {
		case !ok:
			return Credentials{}, unusable(s.hint, "%s is missing in %s", s.name(key), s.place)
		case value == "":
			return Credentials{}, unusable(s.hint, "%s is empty in %s", s.name(key), s.place)
		case key != keyHost && strings.ContainsFunc(value, notInToken):
			return Credentials{}, unusable("copy it again from the file that Control Center made",
				"%s in %s has a space or another character that no token has", s.name(key), s.place)
		}
	}
	if err := checkHost(s.values[keyHost], s.place); err != nil {
		return Credentials{}, err
	}
	creds := Credentials{
		Host:         s.values[keyHost],
		ClientToken:  NewSecret(s.values[keyClientToken]),
		ClientSecret: NewSecret(s.values[keyClientSecret]),
		AccessToken:  NewSecret(s.values[keyAccessToken]),
		AccountKey:   NewSecret(s.values[keyAccountKey]),
		SignHeaders:  strings.FieldsFunc(s.values[keySignHeaders], func(r rune) bool { return r == ',' || r == ' ' }),
		Source:       s.place,
	}
	if text := s.values[keyMaxBody]; text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return Credentials{}, unusable("leave it out, or write 131072", "%s in %s is no number of bytes", s.name(keyMaxBody), s.place)
		}
		creds.MaxBody = n
	}
	return creds, nil
}

func notInToken(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsPrint(r) || unicode.IsSpace(r)
}

// checkHost accepts HOST[:PORT].
func checkHost(host, place string) error {
	const hint = "a host is HOST or HOST:PORT, such as akab-xxxx.luna.akamaiapis.net"
	fault := ""
	switch u, err := url.Parse("https://" + host); {
	case host == "":
		fault = "is empty"
	case strings.Contains(host, "://"):
		fault = "has a scheme"
	case strings.Contains(host, "/"):
		fault = "has a slash"
	case strings.ContainsFunc(host, notInToken):
		fault = "has a space or another character that no host has"
	case err != nil || u.Host != host || u.Hostname() == "" || !portOK(u):
		fault = "is no HOST[:PORT]"
	default:
		return nil
	}
	return unusable(hint, "host in %s %s: %q", place, fault, host)
}

func portOK(u *url.URL) bool {
	if u.Port() == "" {
		return u.Host[len(u.Host)-1] != ':'
	}
	port, err := strconv.Atoi(u.Port())
	return err == nil && port > 0 && port < 1<<16
}

// config is what the SDK's signer wants. Its own MaxBody of 0 would sign nothing of a POST body.
func (c Credentials) config() *edgegrid.Config {
	size := c.MaxBody
	if size <= 0 {
		size = edgegrid.MaxBodySize
	}
	return &edgegrid.Config{
		Host:         c.Host,
		ClientToken:  c.ClientToken.Reveal(),
		ClientSecret: c.ClientSecret.Reveal(),
		AccessToken:  c.AccessToken.Reveal(),
		AccountKey:   c.AccountKey.Reveal(),
		HeaderToSign: c.SignHeaders,
		MaxBody:      size,
	}
}

// String names the source, not the secrets.
func (c Credentials) String() string {
	return fmt.Sprintf("credentials of %s from %s", c.Host, c.Source)
}
