package simulator

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ListenOptions say where and how a Server is reached.
type ListenOptions struct {
	Addr string // 127.0.0.1:0 when empty
	Dir  string // where ca.pem and edgerc are written; none when empty
	// StallHandshakes is the number of connections, the first ones, whose TLS handshake is never answered.
	StallHandshakes int
}

// Listener is a running HTTPS server.
type Listener struct {
	Host        string      // HOST:PORT
	Credentials Credentials // with Host
	CA          []byte      // the certificate to trust, as PEM
	CAFile      string      // Dir/ca.pem, if there is a Dir
	Edgerc      string      // Dir/edgerc, if there is a Dir

	server *Server
	http   *http.Server
	open   openConns
	stall  *stallListener
	served chan error
	once   sync.Once
	closed error
}

// NewCredentials makes random tokens for a Server.
func NewCredentials() Credentials {
	token := func(prefix string, n int) string {
		b := make([]byte, n)
		_, _ = rand.Read(b) // never fails (crypto/rand)
		return prefix + hex.EncodeToString(b)
	}
	return Credentials{ClientToken: token("akab-client-", 16), ClientSecret: token("", 24), AccessToken: token("akab-access-", 16)}
}

// Listen serves s over TLS with a certificate authority made for it, and writes ca.pem (0644) and edgerc (0600, section
// default) to the folder; both appear whole. Where s has no credentials it gets random ones. From now on callers must sign
// for the listener's host. Close the Listener to end everything that it started.
func Listen(ctx context.Context, s *Server, opt ListenOptions) (*Listener, error) {
	if opt.Addr == "" {
		opt.Addr = "127.0.0.1:0"
	}
	var config net.ListenConfig
	raw, err := config.Listen(ctx, "tcp", opt.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", opt.Addr, err)
	}
	host := raw.Addr().String()
	l := &Listener{Host: host, Credentials: s.guard.host(host), server: s, served: make(chan error, 1)}
	certificate, err := l.certify()
	if err == nil && opt.Dir != "" {
		err = l.writeFiles(opt.Dir)
	}
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	l.stall = &stallListener{Listener: raw, left: opt.StallHandshakes}
	l.http = &http.Server{
		Handler: s, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0), ConnState: l.open.note,
		TLSConfig:    &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1, whose connections faults can cut
	}
	go func() { l.served <- l.http.ServeTLS(l.stall, "", "") }()
	return l, nil
}

// Close ends all connections, idle or not, and waits for what the listener and its server started. Closing again gives
// the same answer.
func (l *Listener) Close() error {
	l.once.Do(func() {
		l.server.stop()
		l.closed = l.http.Close()
		l.stall.release()
		l.server.Close()
		if served := <-l.served; !errors.Is(served, http.ErrServerClosed) {
			l.closed = errors.Join(l.closed, served)
		}
	})
	return l.closed
}

// Deserted waits until no client is connected any more: what clients that have ended sent is then answered or lost.
func (l *Listener) Deserted(ctx context.Context) error {
	for {
		left, changed := l.open.count()
		if left == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d clients are still connected: %w", left, ctx.Err())
		}
	}
}

// openConns counts connections.
type openConns struct {
	mu      sync.Mutex
	n       int
	changed chan struct{} // closed at the next change, where somebody waits for it
}

func (o *openConns) note(_ net.Conn, state http.ConnState) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch state {
	case http.StateNew:
		o.n++
	case http.StateClosed, http.StateHijacked:
		o.n--
	case http.StateActive, http.StateIdle:
		return
	}
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

func (o *openConns) count() (n int, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return o.n, o.changed
}

// Client is an HTTP client that trusts the listener. Close its idle connections when done.
func (l *Listener) Client() *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(l.CA)
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// certify makes a certificate authority and a certificate of it for the listener's host.
func (l *Listener) certify() (tls.Certificate, error) {
	host, _, err := net.SplitHostPort(l.Host)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("split %s: %w", l.Host, err)
	}
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "cloudletmig simulator CA"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano() + 1), Subject: pkix.Name{CommonName: host}, NotBefore: authority.NotBefore,
		NotAfter: authority.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"},
	}
	if ip := net.ParseIP(host); ip != nil {
		leaf.IPAddresses = []net.IP{ip, net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	} else {
		leaf.DNSNames = append(leaf.DNSNames, host)
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make key: %w", err)
	}
	caDER, err := x509.CreateCertificate(rand.Reader, authority, authority, &caKey.PublicKey, caKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate authority: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, authority, &key.PublicKey, caKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	l.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func (l *Listener) writeFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	l.CAFile, l.Edgerc = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "edgerc")
	if err := writeWhole(l.CAFile, l.CA, 0o644); err != nil {
		return err
	}
	c := l.Credentials
	text := fmt.Sprintf("[default]\nhost = %s\nclient_token = %s\nclient_secret = %s\naccess_token = %s\n",
		l.Host, c.ClientToken, c.ClientSecret, c.AccessToken)
	if c.AccountKey != "" {
		text += "account_key = " + c.AccountKey + "\n"
	}
	return writeWhole(l.Edgerc, []byte(text), 0o600)
}

// writeWhole makes a file appear with all of its content or not at all.
func writeWhole(path string, content []byte, mode os.FileMode) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", filepath.Base(path), err), os.Remove(temp.Name()))
		}
	}()
	_, err = temp.Write(content)
	err = errors.Join(err, temp.Chmod(mode), temp.Close())
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// stallListener keeps its first connections and never serves them.
type stallListener struct {
	net.Listener
	mu    sync.Mutex
	left  int
	stuck []net.Conn
}

func (l *stallListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		stall := l.left > 0
		if stall {
			l.left--
			l.stuck = append(l.stuck, conn)
		}
		l.mu.Unlock()
		if !stall {
			return conn, nil
		}
	}
}

// release closes what was kept.
func (l *stallListener) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.stuck {
		_ = conn.Close() // its end is all that matters
	}
	l.stuck = nil
}
