package akamai

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodSection = `[default]
host = akab-h.luna.akamaiapis.net
client_token = ` + canaryToken + `
client_secret = ` + canarySecret + `
access_token = ` + canaryAccess + `
`

// place writes text as a credentials file of the given mode.
func place(t *testing.T, text string, mode os.FileMode) (home, path string) {
	t.Helper()
	home = t.TempDir()
	path = filepath.Join(home, ".edgerc")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return home, path
}

func environment(pairs ...string) func(string) (string, bool) {
	env := make(map[string]string)
	for i := 0; i+1 < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

func wholeEnvironment(prefix string) []string {
	return []string{
		prefix + "HOST", "env.example", prefix + "CLIENT_TOKEN", canaryToken + "\n",
		prefix + "CLIENT_SECRET", canarySecret, prefix + "ACCESS_TOKEN", canaryAccess,
	}
}

// TestCredentialErrors: one sentence each, with what to do, and no secret in it.
func TestCredentialErrors(t *testing.T) {
	t.Parallel()
	without := func(key string) string {
		var kept strings.Builder
		for line := range strings.Lines(goodSection) {
			if !strings.HasPrefix(line, key) {
				kept.WriteString(line)
			}
		}
		return kept.String()
	}
	host := func(h string) string { return strings.Replace(goodSection, "akab-h.luna.akamaiapis.net", h, 1) }
	for _, tt := range []struct {
		name, text, section, want string
	}{
		{"missing section", goodSection + "[ccu]\nx = y\n", "prod", `FILE has no section "prod": it has default, ccu`},
		{"section by case", goodSection, "DEFAULT", `FILE has no section "DEFAULT": it has default`},
		{"no section", "", "", `FILE has no section "default": it has none at all`},
		{"keys before a section", "host = x\n" + goodSection, "prod", `FILE has no section "prod": it has DEFAULT, default`},
		{"missing host", without("host"), "", `host is missing in section "default" of FILE`},
		{"missing token", without("client_token"), "", `client_token is missing in section "default" of FILE`},
		{"missing secret", without("client_secret"), "", `client_secret is missing in section "default" of FILE`},
		{"missing access", without("access_token"), "", `access_token is missing in section "default" of FILE`},
		{"not from a parent section", goodSection + "[default.eu]\nhost = a.example\n", "default.eu", `client_token is missing in section "default.eu" of FILE`},
		{"empty secret", without("client_secret") + "client_secret =\n", "", `client_secret is empty in section "default" of FILE`},
		{"empty host", host(" "), "", `host is empty in section "default" of FILE`},
		{"secret with a space", without("client_secret") + "client_secret = a b\n", "", `client_secret in section "default" of FILE has a space or another character that no token has`},
		{"secret with a control", without("client_secret") + "client_secret = a\x01b\n", "", `client_secret in section "default" of FILE has a space`},
		{"scheme", host("https://h.example"), "", `host in section "default" of FILE has a scheme: "https://h.example"`},
		{"slash", host("h.example/"), "", `host in section "default" of FILE has a slash: "h.example/"`},
		{"space", host("h example"), "", `host in section "default" of FILE has a space or another character that no host has: "h example"`},
		{"port", host("h.example:99999"), "", `host in section "default" of FILE is no HOST[:PORT]: "h.example:99999"`},
		{"port 0", host("h.example:0"), "", `is no HOST[:PORT]`},
		{"port of letters", host("h.example:https"), "", `is no HOST[:PORT]`},
		{"no port", host("h.example:"), "", `is no HOST[:PORT]`},
		{"user", host("u@h.example"), "", `is no HOST[:PORT]`},
		{"query", host("h.example?x"), "", `is no HOST[:PORT]`},
		{"only a port", host(":443"), "", `is no HOST[:PORT]`},
		{"max_body", goodSection + "max_body = 12k\n", "", `max_body in section "default" of FILE is no number of bytes`},
		{"no INI", goodSection + canarySecret[:12] + "\n", "", `FILE, line 6, is no credentials file`},
		{"open bracket", "[default\n" + goodSection, "", `FILE is no credentials file`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			home, path := place(t, tt.text, 0o600)
			_, _, err := LoadCredentials(CredentialOptions{Home: home, Section: tt.section})
			refused(t, err, strings.ReplaceAll(tt.want, "FILE", path))
		})
	}
}

func refused(t *testing.T, err error, want string) {
	t.Helper()
	if !errors.Is(err, ErrConfig) || errors.Is(err, ErrCredentials) || !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v\nwant %s", err, want)
	}
	var hint interface{ Hint() string }
	if !errors.As(err, &hint) || hint.Hint() == "" {
		t.Errorf("%v has no hint", err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%v is more than a line", err)
	}
	clean(t, "error", err.Error()+hint.Hint())
	if strings.Contains(err.Error(), canarySecret[:12]) {
		t.Errorf("%v holds a part of the secret", err)
	}
}

func TestCredentialFiles(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	folder := filepath.Join(home, "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	env := environment(wholeEnvironment("AKAMAI_")...)
	_, _, err := LoadCredentials(CredentialOptions{Home: home})
	refused(t, err, "there are no credentials: "+home+"/.edgerc does not exist and AKAMAI_HOST is not set")
	_, _, err = LoadCredentials(CredentialOptions{Home: home, Section: "prod"})
	refused(t, err, "there are no credentials: "+home+"/.edgerc does not exist and AKAMAI_PROD_HOST is not set")
	_, _, err = LoadCredentials(CredentialOptions{Home: home, File: "~/none", FileGiven: true, Env: env})
	refused(t, err, "credentials file "+home+"/none does not exist")
	_, _, err = LoadCredentials(CredentialOptions{Home: home, File: folder, FileGiven: true, Env: env})
	refused(t, err, "read credentials: ")
}

func TestCredentialPrecedence(t *testing.T) {
	t.Parallel()
	home, path := place(t, goodSection+"account_key = F-CANARY-1 ; of the file\nmax_body = 2048\nheaders_to_sign = X-A, X-B\n"+
		"\n# a comment\n[prod]\nhost: prod.example:8443\nclient_token=%(host)s\nclient_secret=a;b#c\\\naccess_token=\"t\"\n", 0o600)
	whole := environment(wholeEnvironment("AKAMAI_")...)
	for _, tt := range []struct {
		name    string
		options CredentialOptions
		host    string
		account string
		source  string
	}{
		{"file", CredentialOptions{}, "akab-h.luna.akamaiapis.net", canaryAccount, `section "default" of ` + path},
		{"environment", CredentialOptions{Env: whole}, "env.example", "", "the environment"},
		{"named file", CredentialOptions{Env: whole, File: "~/.edgerc", FileGiven: true}, "akab-h.luna.akamaiapis.net", canaryAccount, `section "default" of ` + path},
		{"section", CredentialOptions{Env: whole, Section: "prod"}, "prod.example:8443", "", `section "prod" of ` + path},
		{"section of the environment", CredentialOptions{Section: "prod", Env: environment(wholeEnvironment("AKAMAI_PROD_")...)}, "env.example", "", "the environment"},
		{"empty host", CredentialOptions{Env: environment("AKAMAI_HOST", " ")}, "akab-h.luna.akamaiapis.net", canaryAccount, `section "default" of ` + path},
		{"account", CredentialOptions{AccountKey: "B-2"}, "akab-h.luna.akamaiapis.net", "B-2", `section "default" of ` + path},
		{"account of the environment", CredentialOptions{Env: environment(append(wholeEnvironment("AKAMAI_"), "AKAMAI_ACCOUNT_KEY", "C-3")...)}, "env.example", "C-3", "the environment"},
	} {
		tt.options.Home = home
		creds, warnings, err := LoadCredentials(tt.options)
		if err != nil || len(warnings) != 0 {
			t.Errorf("%s: %v %v", tt.name, warnings, err)
			continue
		}
		if creds.Host != tt.host || creds.AccountKey.Reveal() != tt.account || creds.Source != tt.source {
			t.Errorf("%s: %v, account %q", tt.name, creds, creds.AccountKey.Reveal())
		}
	}
	creds, _, err := LoadCredentials(CredentialOptions{Home: home, Section: "prod"})
	if err != nil || creds.ClientToken.Reveal() != "%(host)s" || creds.ClientSecret.Reveal() != `a;b#c\` || creds.AccessToken.Reveal() != "t" {
		t.Errorf("values are changed: %s %s %s %v", creds.ClientToken.Reveal(), creds.ClientSecret.Reveal(), creds.AccessToken.Reveal(), err)
	}
	creds, _, err = LoadCredentials(CredentialOptions{Home: home})
	if c := creds.config(); err != nil || c.MaxBody != 2048 || strings.Join(c.HeaderToSign, " ") != "X-A X-B" || c.ClientSecret != canarySecret {
		t.Errorf("%v %v", creds, err)
	}
	if got := testCredentials("x").config().MaxBody; got != 131072 {
		t.Errorf("max body %d", got)
	}
}

func TestEnvironmentErrors(t *testing.T) {
	t.Parallel()
	home, _ := place(t, goodSection, 0o600)
	for want, pairs := range map[string][]string{
		"AKAMAI_CLIENT_TOKEN is missing in the environment":                        {"AKAMAI_HOST", "h.example"},
		"AKAMAI_CLIENT_TOKEN is empty in the environment":                          {"AKAMAI_HOST", "h.example", "AKAMAI_CLIENT_TOKEN", ""},
		`host in the environment has a slash: "h.example/"`:                        append(wholeEnvironment("AKAMAI_"), "AKAMAI_HOST", "h.example/"),
		`AKAMAI_MAX_BODY in the environment is no number of bytes`:                 append(wholeEnvironment("AKAMAI_"), "AKAMAI_MAX_BODY", "much"),
		"AKAMAI_CLIENT_SECRET in the environment has a space or another character": append(wholeEnvironment("AKAMAI_"), "AKAMAI_CLIENT_SECRET", "a b"),
	} {
		_, _, err := LoadCredentials(CredentialOptions{Home: home, Env: environment(pairs...)})
		refused(t, err, want)
	}
}

func TestFileMode(t *testing.T) {
	t.Parallel()
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o644: true, 0o604: true} {
		home, path := place(t, goodSection, mode)
		_, warnings, err := LoadCredentials(CredentialOptions{Home: home})
		if err != nil || (len(warnings) == 1) != warned {
			t.Fatalf("%o: %v %v", mode, warnings, err)
		}
		if warned && !strings.HasSuffix(warnings[0], "run chmod 600 "+path) {
			t.Error(warnings[0])
		}
	}
}
