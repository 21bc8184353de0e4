package simulator_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/akamai/AkamaiOPEN-edgegrid-golang/v7/pkg/edgegrid"

	"cloudletmig/internal/simulator"
)

func TestListenWritesCAAndEdgerc(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	cred := simulator.NewCredentials()
	cred.AccountKey = "1-ABC"
	a := startWith(t, simulator.Options{Account: empty(), Credentials: cred}, simulator.ListenOptions{Dir: dir})
	for name, mode := range map[string]os.FileMode{"ca.pem": 0o644, "edgerc": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v %v", entries, err)
	}
	signer, err := edgegrid.New(edgegrid.WithFile(a.listener.Edgerc), edgegrid.WithSection("default"))
	if err != nil {
		t.Fatal(err)
	}
	if signer.Host != a.listener.Host {
		t.Errorf("host is %q, want %q", signer.Host, a.listener.Host)
	}
	signer.MaxBody = 131072
	a.signer = *signer
	a.post(http.StatusCreated, v3+"/policies", newPolicy)
	a.client = &http.Client{Transport: &http.Transport{}}
	if _, _, err := a.do(http.MethodGet, v2+"/policies", ""); err == nil {
		t.Error("the certificate is trusted without its authority")
	}
}

func TestStalledHandshake(t *testing.T) {
	t.Parallel()
	a := startWith(t, simulator.Options{Account: empty()}, simulator.ListenOptions{StallHandshakes: 1})
	a.client.Timeout = 100 * time.Millisecond
	if _, _, err := a.do(http.MethodGet, v2+"/group-info", ""); err == nil {
		t.Error("the first handshake was answered")
	}
	a.client.Timeout = 0
	a.get(v2 + "/group-info")
}

func TestListenRefusesATakenPort(t *testing.T) {
	t.Parallel()
	a := start(t, simulator.Options{})
	if _, err := simulator.Listen(t.Context(), simulator.New(simulator.Options{}), simulator.ListenOptions{Addr: a.listener.Host}); err == nil {
		t.Error("two listeners share a port")
	}
}
