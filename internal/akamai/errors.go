package akamai

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
)

// The errors that callers branch on.
var (
	// ErrConfig is wrapped by every error about input that cannot be used: the credentials file, a host, a CA file.
	ErrConfig = errors.New("unusable configuration")
	// ErrCredentials is wrapped by an APIError when the API does not accept the signature.
	ErrCredentials = errors.New("the API refused the credentials")
)

// What can be wrong with an answer that arrived.
var (
	errShort    = errors.New("the answer broke off")
	errUnsound  = errors.New("the answer is not sound JSON")
	errHTML     = errors.New("the answer is HTML, not JSON")
	errTooLarge = errors.New("the answer is too large")
	errShape    = errors.New("the answer is no list as documented")
	errRedirect = errors.New("redirects are not followed")
)

// errRequest is a request that cannot be made.
var errRequest = errors.New("unusable request")

// configError is one sentence about unusable input. It never holds the value of a secret.
type configError struct {
	text, hint string
	cause      error
}

func (e *configError) Error() string {
	if e.cause == nil {
		return e.text
	}
	return e.text + ": " + e.cause.Error()
}

// Hint says what to do next.
func (e *configError) Hint() string { return e.hint }

func (e *configError) Unwrap() []error {
	if e.cause == nil {
		return []error{ErrConfig}
	}
	return []error{ErrConfig, e.cause}
}

func unusable(hint, format string, args ...any) error {
	return &configError{text: fmt.Sprintf(format, args...), hint: hint}
}

// slow is the end of an attempt that took too long. It is not context.DeadlineExceeded: the caller's context lives on.
type slow struct{ after time.Duration }

func (e slow) Error() string { return fmt.Sprintf("no whole answer within %s", e.after) }

// opaque has the text of an error of the network without its kinship to context.Canceled and
// context.DeadlineExceeded, which mean here that the caller gave up, and nothing else.
type opaque struct{ text string }

func (e opaque) Error() string { return e.text }

// tidy makes err, the result of an exchange, one that tells the caller's cancellation from the network's own ends.
func tidy(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err() // never context.Cause: callers ask for context.Canceled
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return opaque{err.Error()}
	}
	return err
}

// untrusted says whether err is about the server's certificate: another attempt would meet the same one.
func untrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}

// unreachable says whether err speaks of a host that does not exist or does not listen.
func unreachable(err error) bool {
	var lookup *net.DNSError
	return errors.As(err, &lookup) || errors.Is(err, syscall.ECONNREFUSED)
}

// unsent says whether err is of a kind that comes before the first byte of a request.
func unsent(err error) bool {
	var op *net.OpError
	return untrusted(err) || unreachable(err) || (errors.As(err, &op) && op.Op == "dial")
}

// adviseCause is what to do about an attempt that got no usable answer, or empty.
func (c *Client) adviseCause(err error) string {
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &host):
		return fmt.Sprintf("check the host in %s: the server's certificate is for another name", c.creds.Source)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "check this machine's clock: the server's certificate is not valid at this time"
	case untrusted(err):
		return "if a proxy inspects TLS here, name its CA certificate with --ca-file"
	case unreachable(err):
		return fmt.Sprintf("check the host in %s, and the network", c.creds.Source)
	case errors.Is(err, errHTML), errors.Is(err, errRedirect):
		return fmt.Sprintf("is a proxy or a login page between this machine and %s?", c.creds.Host)
	}
	return ""
}

// adviseStatus is what to do about an answer's status, or empty.
func (c *Client) adviseStatus(a *answer) string {
	switch a.status {
	case http.StatusUnauthorized:
		return c.adviseRefused(a)
	case http.StatusForbidden:
		return "the API client needs the grant 'Cloudlets Policy Manager' (READ-ONLY is enough to read) and access to the group"
	}
	return ""
}

// adviseRefused tells a wrong clock from wrong tokens.
func (c *Client) adviseRefused(a *answer) string {
	if server, err := http.ParseTime(a.header.Get("Date")); err == nil {
		off := c.now().Sub(server).Round(time.Second)
		switch {
		case off > maxSkew:
			return fmt.Sprintf("set this machine's clock: it is %s ahead of the server's", off)
		case off < -maxSkew:
			return fmt.Sprintf("set this machine's clock: it is %s behind the server's", -off)
		}
	}
	return fmt.Sprintf("check host, client_token, client_secret and access_token in %s", c.creds.Source)
}
