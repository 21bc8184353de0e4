package akamai

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	v2 "github.com/akamai/AkamaiOPEN-edgegrid-golang/v7/pkg/cloudlets"
	v3 "github.com/akamai/AkamaiOPEN-edgegrid-golang/v7/pkg/cloudlets/v3"

	"cloudletmig/internal/cloudlet"
)

const madePolicy = `{"cloudletType":"ER","groupId":5,"id":1001,"name":"static","policyType":"SHARED"}`

func createRequest() v3.CreatePolicyRequest {
	return v3.CreatePolicyRequest{CloudletType: v3.CloudletTypeER, GroupID: 5, Name: "static"}
}

func cloneRequest() v3.ClonePolicyRequest {
	return v3.ClonePolicyRequest{
		PolicyID:   99,
		BodyParams: v3.ClonePolicyBodyParams{NewName: "static_shared", GroupID: 5, AdditionalVersions: []int64{1, 3}},
	}
}

// TestTypedCalls: the SDK's own calls work over this client.
func TestTypedCalls(t *testing.T) {
	t.Parallel()
	var bodies []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, r.Method+" "+r.URL.Path+" "+string(body))
		switch {
		case strings.HasSuffix(r.URL.Path, "/clone"):
			reply(200, madePolicy)(w, r)
		case r.Method == http.MethodPost:
			reply(201, madePolicy)(w, r)
		case r.Method == http.MethodDelete:
			reply(204, "")(w, r)
		case strings.HasPrefix(r.URL.Path, "/cloudlets/api/v2"):
			reply(200, `[{"policyId":7,"name":"old"}]`)(w, r)
		default:
			answers(reply(503, ""), reply(200, madePolicy))(w, r)
		}
	})
	c := s.client(Options{})
	shared, legacy := v3.Client(c.Session()), v2.Client(c.Session())
	ctx := t.Context()
	created, err := shared.CreatePolicy(ctx, createRequest())
	if err != nil || created.ID != 1001 {
		t.Fatalf("%+v, %v", created, err)
	}
	cloned, err := shared.ClonePolicy(ctx, cloneRequest())
	if err != nil || cloned.ID != 1001 {
		t.Fatalf("%+v, %v", cloned, err)
	}
	if err := shared.DeletePolicy(ctx, v3.DeletePolicyRequest{PolicyID: 1001}); err != nil {
		t.Fatal(err)
	}
	list, err := legacy.ListPolicies(ctx, v2.ListPoliciesRequest{IncludeDeleted: true})
	if err != nil || len(list) != 1 || list[0].PolicyID != 7 {
		t.Fatalf("%+v, %v", list, err)
	}
	want := []string{
		`POST /cloudlets/v3/policies {"cloudletType":"ER","groupId":5,"name":"static"}`,
		`POST /cloudlets/v3/policies/99/clone {"additionalVersions":[1,3],"groupId":5,"newName":"static_shared"}`,
		`DELETE /cloudlets/v3/policies/1001 `,
	}
	for i, w := range want {
		if !sameRequest(bodies[i], w) {
			t.Errorf("request %d is %s, want %s", i, bodies[i], w)
		}
	}
}

func sameRequest(a, b string) bool {
	cut := func(s string) (string, any) {
		head, body, _ := strings.Cut(s, "{")
		var v any
		_ = json.Unmarshal([]byte("{"+body), &v)
		return head, v
	}
	headA, bodyA := cut(a)
	headB, bodyB := cut(b)
	textA, _ := json.Marshal(bodyA)
	textB, _ := json.Marshal(bodyB)
	return headA == headB && string(textA) == string(textB)
}

// TestTypedReadsAreRepeated, and typed changes are not.
func TestTypedReadsAreRepeated(t *testing.T) {
	t.Parallel()
	s := serve(t, answers(reply(503, ""), short, reply(200, madePolicy)))
	got, err := v3.Client(s.client(Options{}).Session()).GetPolicy(t.Context(), v3.GetPolicyRequest{PolicyID: 1001})
	if err != nil || got.ID != 1001 || len(s.requests()) != 3 {
		t.Fatalf("%+v, %v, %d requests", got, err, len(s.requests()))
	}
}

func TestTypedFailures(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   cloudlet.Verdict
		text   string
	}{
		"503":      {reply(503, ""), cloudlet.Unknown, "status 503"},
		"reset":    {reset, cloudlet.Unknown, "POST /cloudlets/v3/policies"},
		"short":    {short, cloudlet.Unknown, "broke off"},
		"unsound":  {reply(201, `{`), cloudlet.Unknown, "not sound JSON"},
		"conflict": {reply(409, `{"title":"Conflict","detail":"name already exists"}`), cloudlet.Conflict, "Conflict: name already exists"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tt.answer)
			c := s.client(Options{})
			err := Outcome(t.Context(), func(ctx context.Context) error {
				_, err := v3.Client(c.Session()).CreatePolicy(ctx, createRequest())
				return err
			})
			var api *cloudlet.APIError
			if !errors.As(err, &api) || api.Verdict != tt.want || !strings.Contains(err.Error(), tt.text) || len(s.requests()) != 1 {
				t.Fatalf("%v, %d requests", err, len(s.requests()))
			}
		})
	}
	t.Run("the SDK's own", func(t *testing.T) {
		t.Parallel()
		s := serve(t, reply(201, madePolicy))
		c := s.client(Options{})
		err := Outcome(t.Context(), func(ctx context.Context) error {
			_, err := v3.Client(c.Session()).CreatePolicy(ctx, v3.CreatePolicyRequest{})
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "validation") || len(s.requests()) != 0 {
			t.Fatalf("%v", err)
		}
	})
	t.Run("its own error on a 409", func(t *testing.T) {
		t.Parallel()
		s := serve(t, reply(409, `{"title":"Conflict","errors":[{"detail":"x"}]}`))
		_, err := v3.Client(s.client(Options{}).Session()).ClonePolicy(t.Context(), cloneRequest())
		var own *v3.Error
		if !errors.As(err, &own) || own.Status != 409 || own.Title != "Conflict" {
			t.Fatalf("%v", err)
		}
	})
}

// TestSessionKeepsToHost: a request for another host is neither sent nor signed.
func TestSessionKeepsToHost(t *testing.T) {
	t.Parallel()
	c := virtual(t, Options{}, func(*http.Request) (*http.Response, error) {
		t.Error("sent")
		return nil, io.EOF
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://evil.example/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := c.Session().Exec(r, nil); !errors.Is(err, errRequest) {
		_ = resp.Body.Close()
		t.Error(err)
	}
	if err := c.Session().Sign(r); !errors.Is(err, errRequest) || len(r.Header) != 0 {
		t.Error(err, r.Header)
	}
}
