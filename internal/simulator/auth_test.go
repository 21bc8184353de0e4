package simulator_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cloudletmig/internal/simulator"
)

// signature signs by hand, with nothing of the simulator or the SDK.
func signature(secret, timestamp, message string) string {
	sum := func(message, key string) string {
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(message))
		return base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	return sum(message, sum(timestamp, secret))
}

const (
	stamp  = "20260102T03:04:05+0000"
	fields = "EG1-HMAC-SHA256 client_token=ctoken;access_token=atoken;timestamp=" + stamp + ";nonce=nonce-1;"
)

func guarded(accountKey string) *simulator.Server {
	return simulator.New(simulator.Options{
		Clock: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 15, 0, time.UTC) },
		Credentials: simulator.Credentials{
			Host: "akab.example.net", ClientToken: "ctoken", ClientSecret: "SOMESECRET", AccessToken: "atoken", AccountKey: accountKey,
		},
	})
}

func try(t *testing.T, s *simulator.Server, method, target, body, authorization string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "https://akab.example.net"+target, strings.NewReader(body))
	r.Header.Set("Authorization", authorization)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestSignatureVectors(t *testing.T) {
	t.Parallel()
	// The literals were computed with another language's HMAC.
	for _, v := range []struct {
		method, target, body, signature string
		status                          int
	}{
		{http.MethodGet, "/cloudlets/api/v2/cloudlet-info", "", "333eAgNS5cCjMGMsAin0KWGXTpV92IMnYIk39Flqaz0=", http.StatusOK},
		{http.MethodPost, "/cloudlets/v3/policies?x=1", `{"name":"a"}`, "3+VM4g4TebAxSbgbngqndIj5N2XQUW++9g6UruIddws=", http.StatusBadRequest},
		{http.MethodPut, "/cloudlets/api/v2/policies/1", `{"name":"a"}`, "97TAAYtHdriNnV4GcVxjY1H/W+VtwqAkVEoy+paTIfs=", http.StatusNotFound},
	} {
		w := try(t, guarded(""), v.method, v.target, v.body, fields+"signature="+v.signature)
		if w.Code != v.status {
			t.Errorf("%s %s: status %d, want %d: %s", v.method, v.target, w.Code, v.status, w.Body)
		}
	}
}

func TestContentHashCovers131072Bytes(t *testing.T) {
	t.Parallel()
	body := `{"name":"` + strings.Repeat("x", 140000) + `"}`
	sum := sha256.Sum256([]byte(body)[:131072])
	message := strings.Join([]string{
		"POST", "https", "akab.example.net", "/cloudlets/v3/policies", "",
		base64.StdEncoding.EncodeToString(sum[:]), fields,
	}, "\t")
	header := fields + "signature=" + signature("SOMESECRET", stamp, message)
	if w := try(t, guarded(""), http.MethodPost, "/cloudlets/v3/policies", body, header); w.Code != http.StatusBadRequest {
		t.Errorf("status %d, want 400: %s", w.Code, w.Body)
	}
	changed := strings.Replace(body, "xxx", "yyy", 1)
	w := try(t, guarded(""), http.MethodPost, "/cloudlets/v3/policies", changed, header)
	if w.Code != http.StatusUnauthorized || str(t, w.Body.Bytes(), "detail") != "The signature does not match" {
		t.Errorf("changed content: status %d: %s", w.Code, w.Body)
	}
}

func TestSignatureRefusals(t *testing.T) {
	t.Parallel()
	const target = "/cloudlets/api/v2/cloudlet-info"
	sign := func(head, host string) string {
		at := strings.TrimSuffix(strings.SplitAfter(strings.Split(head, "timestamp=")[1], "+0000")[0], ";")
		return head + "signature=" + signature("SOMESECRET", at, strings.Join([]string{"GET", "https", host, target, "", "", head}, "\t"))
	}
	host := "akab.example.net"
	for name, c := range map[string]struct{ header, detail string }{
		"none":     {"", "Invalid or missing EdgeGrid authorization header"},
		"order":    {sign(strings.Replace(fields, "client_token=ctoken;access_token=atoken", "access_token=atoken;client_token=ctoken", 1), host), "Invalid or missing EdgeGrid authorization header"},
		"early":    {sign(strings.Replace(fields, stamp, "20260102T03:03:44+0000", 1), host), "Invalid timestamp"},
		"late":     {sign(strings.Replace(fields, stamp, "20260102T03:04:46+0000", 1), host), "Invalid timestamp"},
		"client":   {sign(strings.Replace(fields, "ctoken", "other", 1), host), "Invalid client token"},
		"access":   {sign(strings.Replace(fields, "atoken", "other", 1), host), "Invalid access token"},
		"host":     {sign(fields, "other.example.net"), "The signature does not match"},
		"no match": {fields + "signature=AAAA", "The signature does not match"},
	} {
		w := try(t, guarded(""), http.MethodGet, target, "", c.header)
		if w.Code != http.StatusUnauthorized || str(t, w.Body.Bytes(), "detail") != c.detail {
			t.Errorf("%s: status %d, %s; want 401, %s", name, w.Code, w.Body, c.detail)
		}
		if w.Header().Get("Date") != "Fri, 02 Jan 2026 03:04:15 GMT" {
			t.Errorf("%s: Date is %q", name, w.Header().Get("Date"))
		}
	}
	s := guarded("")
	for i, want := range []int{http.StatusOK, http.StatusUnauthorized} {
		if w := try(t, s, http.MethodGet, target, "", sign(fields, host)); w.Code != want {
			t.Errorf("use %d of a nonce: status %d, want %d: %s", i+1, w.Code, want, w.Body)
		}
	}
}

func TestAccountSwitchKey(t *testing.T) {
	t.Parallel()
	const key = "1-ABC:1-2RBL"
	for _, c := range []struct {
		configured, query string
		status            int
	}{
		{key, "accountSwitchKey=" + key, http.StatusOK},
		{key, "", http.StatusForbidden},
		{key, "accountSwitchKey=other", http.StatusForbidden},
		{key, "accountSwitchKey=" + key + "&accountSwitchKey=" + key, http.StatusBadRequest},
		{"", "", http.StatusOK},
		{"", "accountSwitchKey=a&accountSwitchKey=a", http.StatusBadRequest},
	} {
		target := "/cloudlets/api/v2/group-info"
		if c.query != "" {
			target += "?" + c.query
		}
		message := strings.Join([]string{"GET", "https", "akab.example.net", target, "", "", fields}, "\t")
		w := try(t, guarded(c.configured), http.MethodGet, target, "", fields+"signature="+signature("SOMESECRET", stamp, message))
		if w.Code != c.status {
			t.Errorf("key %q, query %q: status %d, want %d: %s", c.configured, c.query, w.Code, c.status, w.Body)
		}
	}
}

func TestSDKSignaturesAreAccepted(t *testing.T) {
	t.Parallel()
	cred := simulator.NewCredentials()
	cred.AccountKey = "1-ABC:1-2RBL"
	a := start(t, simulator.Options{Account: simulator.Generate(simulator.GenerateOptions{Plain: true}), Credentials: cred})
	a.get(v2 + "/policies?pageSize=5&offset=5")
	a.post(http.StatusCreated, v3+"/policies", `{"name":"signed","groupId":1234,"cloudletType":"ER"}`)
	a.signer.ClientSecret = "wrong"
	a.want(http.StatusUnauthorized, http.MethodGet, v2+"/policies", "")
}
