package akamai

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"gopkg.in/ini.v1"
)

const howToGetOne = "create an API client in Control Center, save its credentials there, or name a file with --edgerc"

// fromFile reads a section of the credentials file, and warns when other users can read the file too.
func (o CredentialOptions) fromFile(prefix string) (settings, []string, error) {
	path := o.path()
	data, warnings, err := readPrivate(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !o.FileGiven:
		return settings{}, nil, unusable(howToGetOne, "there are no credentials: %s does not exist and %sHOST is not set", path, prefix)
	case errors.Is(err, fs.ErrNotExist):
		return settings{}, nil, unusable(howToGetOne, "credentials file %s does not exist", path)
	case err != nil:
		return settings{}, nil, &configError{text: "read credentials", hint: "check owner and mode of the file", cause: err}
	}
	values, err := readSection(data, path, o.Section)
	if err != nil {
		return settings{}, warnings, err
	}
	place := fmt.Sprintf("section %q of %s", o.Section, path)
	return settings{
		values: values,
		name:   func(key string) string { return key },
		place:  place,
		hint:   "each section needs host, client_token, client_secret and access_token",
	}, warnings, nil
}

func readPrivate(path string) (data []byte, warnings []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		warnings = append(warnings, fmt.Sprintf("other users can read %s (mode %04o): run chmod 600 %s", path, info.Mode().Perm(), path))
	}
	data, err = io.ReadAll(io.LimitReader(f, 1<<20))
	return data, warnings, err
}

// readSection gives the section's own keys. Parent sections, interpolation and continued lines, which the format
// otherwise knows, would change a secret or take one from elsewhere.
func readSection(data []byte, path, section string) (map[string]string, error) {
	file, err := ini.LoadSources(ini.LoadOptions{IgnoreContinuation: true, SpaceBeforeInlineComment: true}, data)
	if err != nil {
		return nil, unusable("each line is [section], key = value, or a comment", "%s%s is no credentials file", path, badLine(data, err))
	}
	var names []string
	for _, s := range file.Sections() {
		if s.Name() == ini.DefaultSection && len(s.Keys()) == 0 {
			continue // the part before the first section
		}
		names = append(names, s.Name())
		if s.Name() != section {
			continue
		}
		values := make(map[string]string)
		for _, key := range s.Keys() {
			values[key.Name()] = strings.TrimSpace(key.Value())
		}
		return values, nil
	}
	if len(names) == 0 {
		return nil, unusable(howToGetOne, "%s has no section %q: it has none at all", path, section)
	}
	return nil, unusable("choose one with --section", "%s has no section %q: it has %s", path, section, strings.Join(names, ", "))
}

// badLine is where the file breaks the format. The line itself may be a secret, and so may the parser's message.
func badLine(data []byte, err error) string {
	var broken ini.ErrDelimiterNotFound
	if !errors.As(err, &broken) {
		return ""
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		if strings.TrimSpace(line) == strings.TrimSpace(broken.Line) {
			return fmt.Sprintf(", line %d,", n)
		}
	}
	return ""
}
