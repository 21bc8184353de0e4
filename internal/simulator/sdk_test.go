package simulator_test

import (
	"testing"

	"github.com/akamai/AkamaiOPEN-edgegrid-golang/v7/pkg/cloudlets"
	v3sdk "github.com/akamai/AkamaiOPEN-edgegrid-golang/v7/pkg/cloudlets/v3"
	"github.com/akamai/AkamaiOPEN-edgegrid-golang/v7/pkg/session"

	"cloudletmig/internal/simulator"
)

// The SDK's typed calls read the real API, so that they must be able to read the simulator, status codes included.
func TestSDKTypedCalls(t *testing.T) {
	t.Parallel()
	a := start(t, simulator.Options{Account: empty(), ActivationTime: -1, BalancingTime: -1})
	s, err := session.New(session.WithSigner(&a.signer), session.WithClient(a.client))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	legacy := cloudlets.Client(s)
	p, err := legacy.CreatePolicy(ctx, cloudlets.CreatePolicyRequest{Name: "a", CloudletID: 0, GroupID: 1234})
	must("create policy", err)
	v, err := legacy.CreatePolicyVersion(ctx, cloudlets.CreatePolicyVersionRequest{
		PolicyID: p.PolicyID,
		CreatePolicyVersion: cloudlets.CreatePolicyVersion{MatchRules: cloudlets.MatchRules{
			&cloudlets.MatchRuleER{Type: "erMatchRule", RedirectURL: "/x", StatusCode: 301, UseRelativeURL: "relative_url", MatchURL: "/y"},
		}},
	})
	must("create version", err)
	if v.Version != 2 || len(v.MatchRules) != 1 {
		t.Errorf("version is %+v", v)
	}
	rows, err := legacy.ActivatePolicyVersion(ctx, cloudlets.ActivatePolicyVersionRequest{
		PolicyID: p.PolicyID, Version: 2,
		PolicyVersionActivation: cloudlets.PolicyVersionActivation{Network: "staging", AdditionalPropertyNames: []string{"www.example.com"}},
	})
	must("activate version", err)
	if len(rows) != 1 || rows[0].PolicyInfo.PolicyID != p.PolicyID {
		t.Errorf("rows are %+v", rows)
	}
	_, err = legacy.CreateOrigin(ctx, cloudlets.CreateOriginRequest{OriginID: "alb", Description: cloudlets.Description{Description: "d"}})
	must("create origin", err)
	o, err := legacy.GetOrigin(ctx, cloudlets.GetOriginRequest{OriginID: "alb"})
	must("get origin", err)
	if o.OriginID != "alb" {
		t.Errorf("origin is %+v", o)
	}
	shared := v3sdk.Client(s)
	types, err := shared.ListCloudlets(ctx)
	must("list cloudlets", err)
	if len(types) != 7 {
		t.Errorf("cloudlets are %+v", types)
	}
	clone, err := shared.ClonePolicy(ctx, v3sdk.ClonePolicyRequest{
		PolicyID: p.PolicyID, BodyParams: v3sdk.ClonePolicyBodyParams{NewName: "b", GroupID: 5},
	})
	must("clone policy", err)
	started, err := shared.ActivatePolicy(ctx, v3sdk.ActivatePolicyRequest{PolicyID: clone.ID, PolicyVersion: 2, Network: v3sdk.StagingNetwork})
	must("activate policy", err)
	if started.Status != v3sdk.ActivationStatusSuccess || started.FinishDate == nil {
		t.Errorf("activation is %+v", started)
	}
	list, err := shared.ListPolicies(ctx, v3sdk.ListPoliciesRequest{})
	must("list policies", err)
	if len(list.Content) != 1 || list.Content[0].CurrentActivations.Staging.Effective == nil {
		t.Errorf("policies are %+v", list)
	}
	versions, err := shared.ListPolicyVersions(ctx, v3sdk.ListPolicyVersionsRequest{PolicyID: clone.ID})
	must("list versions", err)
	if len(versions.PolicyVersions) != 1 || !versions.PolicyVersions[0].Immutable {
		t.Errorf("versions are %+v", versions)
	}
}
