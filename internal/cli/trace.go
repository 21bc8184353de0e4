package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/redirect"
)

// traceOptions are the flags of trace.
type traceOptions struct {
	Rules, Network, Property   string
	Method, Country, Continent string
	Region, ClientIP, Proxy    string
	Headers, Cookies, Devices  []string
	At                         string
}

func (a *app) traceCommand() *cobra.Command {
	var o traceOptions
	cmd := &cobra.Command{
		Use:   "trace URL... --rules FILE|DIR|SNAPSHOT|live",
		Short: "Say which policy and rule a URL meets, and where it is sent",
		Long: `trace evaluates URLs as the edge would: against a list of rules (a chunk, a version file), against a converted folder
by way of its property rules, or against the Edge Redirector policies of a snapshot or of the account, each with the
version that is effective on a network. What a URL alone cannot decide comes from the flags, and is named where it is
missing. The readings are those of docs/csv.md. - as a URL reads URLs from standard input, one a line. The exit code is 4 when a URL meets no rule, and
3 when one of several cannot be traced.`,
		Example: `  cloudletmig trace https://www.example.com/old --rules redirects
  cloudletmig trace /a /b --rules redirects/shop_001.json
  cloudletmig trace https://www.example.com/old --rules live --network staging --property www.example.com
  cut -d, -f1 redirects.csv | tail -n +2 | cloudletmig trace - --rules redirects
  cloudletmig trace https://www.example.com/ --rules backup --country DE --cookie tier=gold --at 2027-01-01T00:00:00Z`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exactly("URL")(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.trace(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Rules, "rules", "", "a chunk, a version file, a converted folder, a snapshot, SNAPSHOT:POLICY@VERSION or live (`FROM`)")
	f.StringVar(&o.Network, "network", "production", "of a snapshot or live: production or staging")
	f.StringVar(&o.Property, "property", "", "of a snapshot or live: only policies that this property uses (`NAME`)")
	f.StringVar(&o.Method, "method", "GET", "of the request")
	f.StringArrayVar(&o.Headers, "header", nil, "`NAME: VALUE` (repeatable); once one is given, all are known")
	f.StringArrayVar(&o.Cookies, "cookie", nil, "`NAME=VALUE` (repeatable); once one is given, all are known")
	f.StringArrayVar(&o.Devices, "device", nil, "a device characteristic, `NAME=VALUE` (repeatable)")
	f.StringVar(&o.Country, "country", "", "of the visitor, as `CODE`")
	f.StringVar(&o.Continent, "continent", "", "of the visitor, as `CODE`")
	f.StringVar(&o.Region, "region", "", "of the visitor, as `CODE`")
	f.StringVar(&o.ClientIP, "client-ip", "", "of the visitor, as `ADDRESS`")
	f.StringVar(&o.Proxy, "proxy", "", "anonymous, transparent or none")
	f.StringVar(&o.At, "at", "", "`TIME` of the request, such as 2027-01-31T18:00:00Z (default: now)")
	return cmd
}

func (a *app) trace(ctx context.Context, urls []string, o traceOptions) error {
	if o.Rules == "" {
		return &usageError{text: "trace needs --rules", hint: "a chunk, a version file, a converted folder, a snapshot, or live"}
	}
	if err := oneOf("network", o.Network, string(cloudlet.Production), string(cloudlet.Staging)); err != nil {
		return err
	}
	facts, err := o.facts()
	if err != nil {
		return err
	}
	if urls, err = a.urls(urls); err != nil {
		return err
	}
	if err := oneUsable(urls); err != nil { // before anything is read
		return err
	}
	from, err := a.openRules(ctx, o)
	if err != nil {
		return err
	}
	var traces []traced
	var bad untraced
	missed := 0
	for _, text := range urls {
		found, err := traceURL(text, facts, from)
		switch {
		case errors.Is(err, errUsage):
			bad = append(bad, err)
			found = []traced{{Error: err.Error()}}
		case err != nil:
			return fmt.Errorf("trace %s: %w", text, err)
		case !slices.ContainsFunc(found, func(t traced) bool { return t.Rule > 0 }):
			missed++
		}
		for _, t := range found {
			t.URL = text
			traces = append(traces, t)
		}
	}
	if len(bad) == len(urls) {
		return bad[0]
	}
	err = a.showTraces(traces, missed, len(bad))
	if len(bad) > 0 {
		err = errors.Join(bad, err)
	}
	return err
}

// oneUsable is nil when one of the URLs can be traced, else what is wrong with the first.
func oneUsable(urls []string) error {
	var first error
	for _, text := range urls {
		_, err := asBrowsersSend(text)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func traceURL(text string, facts redirect.Request, from tracer) ([]traced, error) {
	q, err := asBrowsersSend(text)
	if err != nil {
		return nil, err
	}
	facts.Scheme, facts.Host, facts.Path, facts.Query = q.Scheme, q.Host, q.Path, q.Query
	return from(&facts)
}

// untraced are the URLs that could not be traced while others were.
type untraced []error

func (u untraced) Error() string {
	if len(u) == 1 {
		return "1 URL cannot be traced: " + u[0].Error()
	}
	return fmt.Sprintf("%d URLs cannot be traced, the first: %v", len(u), u[0])
}

func (u untraced) Is(target error) bool { return target == job.ErrIncomplete }

// urls are the URLs of the command line; - stands for those of standard input, one a line.
func (a *app) urls(args []string) ([]string, error) {
	var all []string
	for _, arg := range args {
		if arg != standardStream {
			all = append(all, arg)
			continue
		}
		lines := bufio.NewScanner(a.in)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if line := strings.TrimSpace(lines.Text()); line != "" {
				all = append(all, line)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, &usageError{text: "read URLs from standard input: " + err.Error()}
		}
	}
	if len(all) == 0 {
		return nil, &usageError{text: "standard input names no URL"}
	}
	return all, nil
}

// asBrowsersSend reads a URL as a person writes it: what a browser would encode is encoded, and the port that the scheme
// implies is left out. Its error is a usageError.
func asBrowsersSend(text string) (redirect.Request, error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if c := text[i]; c > ' ' && c < 0x7f {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	q, err := redirect.ParseURL(b.String())
	if err != nil {
		return q, &usageError{text: err.Error()}
	}
	if q.Host = redirect.WithoutPort(q.Scheme, q.Host); q.Scheme != "" && q.Scheme != "http" && q.Scheme != "https" {
		return q, &usageError{text: text + ": only http and https requests are redirected"}
	}
	if strings.Contains(q.Host, "%") || q.Host != "" && !strings.ContainsAny(q.Host[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789[") {
		return q, &usageError{text: text + " is neither a URL nor a path, which begins with /"}
	}
	return q, nil
}

// facts are what is known of a request beside its URL.
func (o traceOptions) facts() (redirect.Request, error) {
	for _, check := range []struct{ flag, value string }{{"country", o.Country}, {"continent", o.Continent}} {
		if check.value != "" && len(check.value) != 2 {
			return redirect.Request{}, &usageError{text: fmt.Sprintf("--%s %q: give a code of two letters", check.flag, check.value)}
		}
	}
	if _, err := netip.ParseAddr(o.ClientIP); o.ClientIP != "" && err != nil {
		return redirect.Request{}, &usageError{text: fmt.Sprintf("--client-ip %q: give an IP address", o.ClientIP)}
	}
	if o.Proxy != "" {
		if err := oneOf("proxy", o.Proxy, "anonymous", "transparent", "none"); err != nil {
			return redirect.Request{}, err
		}
	}
	q := redirect.Request{
		Method: strings.ToUpper(o.Method), Country: o.Country, Continent: o.Continent, Region: o.Region, ClientIP: o.ClientIP, Proxy: o.Proxy,
		Time: time.Now(),
	}
	if o.At != "" {
		at, err := time.Parse(time.RFC3339, o.At)
		if err != nil {
			return q, &usageError{text: fmt.Sprintf("--at %q: give a time such as 2027-01-31T18:00:00Z", o.At)}
		}
		q.Time = at
	}
	for _, h := range o.Headers {
		name, value, ok := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return q, &usageError{text: fmt.Sprintf("--header %q: write NAME: VALUE", h)}
		}
		if q.Header == nil {
			q.Header = map[string][]string{}
		}
		name = http.CanonicalHeaderKey(name)
		q.Header[name] = append(q.Header[name], strings.TrimSpace(value))
	}
	var err error
	if q.Cookie, err = pairs("cookie", o.Cookies); err != nil {
		return q, err
	}
	q.Device, err = pairs("device", o.Devices)
	return q, err
}

// pairs reads NAME=VALUE; nil where there are none.
func pairs(flag string, list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	found := map[string]string{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, &usageError{text: fmt.Sprintf("--%s %q: write NAME=VALUE", flag, text)}
		}
		found[name] = value
	}
	return found, nil
}
