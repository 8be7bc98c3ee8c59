package access_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/verify"
)

const idp = "https://idp.example"

// services are all services of the API, found through its files.
func services() []protoreflect.ServiceDescriptor {
	var list []protoreflect.ServiceDescriptor
	add := func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			list = append(list, file.Services().Get(i))
		}
		return true
	}
	protoregistry.GlobalFiles.RangeFilesByPackage(apiv1.File_daybook_api_v1_query_proto.Package(), add)
	add(grpc_health_v1.File_grpc_health_v1_health_proto)
	return list
}

func TestEveryMethodHasARule(t *testing.T) {
	seen := 0
	for _, s := range services() {
		for _, m := range access.MethodsOf(s) {
			seen++
			r, ok := access.RuleOf(m)
			switch {
			case !ok:
				t.Errorf("%s has no rule: say in server/access/rules.go who may call it", m)
			case r.Open:
				t.Errorf("%s asks for no identity", m)
			case r.Roles == 0 || len(r.Listeners) == 0:
				t.Errorf("the rule of %s lets nobody call it", m)
			}
		}
	}
	if seen < 27 {
		t.Errorf("only %d methods were looked at", seen)
	}
}

func TestMissingNamesWhatHasNoRule(t *testing.T) {
	get := "/daybook.api.v1.QueryService/GetEntry"
	if m := access.Missing(access.Query, []string{get}); m != nil {
		t.Errorf("missing on query: %v", m)
	}
	if m := access.Missing(access.Admin, []string{get, "/x.Y/Z"}); !slices.Equal(m, []string{get, "/x.Y/Z"}) {
		t.Errorf("missing on admin: %v", m)
	}
}

func person(id string) *access.Person { return &access.Person{ID: id, Authentication: access.MTLS} }

func member(subject string, groups ...string) *access.Person {
	return &access.Person{ID: idp + "#" + subject, Authentication: access.OIDC, Issuer: idp, Subject: subject, Groups: groups}
}

func TestGrantsNameWhomTheyNameAndNobodyElse(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	g, err := access.NewGrants([]access.Grant{
		{SPIFFE: "spiffe://people.example/*", Role: "reader", Domains: []string{"web"}},
		{Issuer: idp, Group: "audit", Role: "reader"},
		{Issuer: idp, Subject: "ann", Role: "approver", Until: now},
		{Issuer: idp, Subject: "bob", Role: "operator"},
	}, access.List{Allow: identity.Allow{"*"}, Roles: access.Producer, Listeners: []string{access.Ingest}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		person   *access.Person
		listener string
		roles    access.Role
		whole    access.Role
	}{
		{"a pattern", person("spiffe://people.example/a"), access.Query, access.Reader, 0},
		{"beside the pattern", person("spiffe://people.example.evil/a"), access.Query, 0, 0},
		{"a group", member("x", "audit"), access.QueryHTTP, access.Reader, access.Reader},
		{"another group", member("x", "auditors"), access.QueryHTTP, 0, 0},
		{"a group's name as subject", member("audit"), access.QueryHTTP, 0, 0},
		{"a subject whose grant ended", member("ann"), access.Query, 0, 0},
		{"another issuer's subject", &access.Person{ID: "https://evil#bob", Authentication: access.OIDC, Issuer: "https://evil", Subject: "bob"}, access.Admin, 0, 0},
		{"an operator", member("bob"), access.Admin, access.Operator, access.Operator},
		{"an operator elsewhere", member("bob"), access.Query, 0, 0},
		{"a certificate on ingest", person("spiffe://x.example/a"), access.Ingest, access.Producer, access.Producer},
		{"a token on ingest", member("bob"), access.Ingest, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, err := g.Of(t.Context(), test.person, test.listener, now, access.Approvals{})
			if err != nil || h.Roles != test.roles || h.Whole != test.whole {
				t.Errorf("holds %v, whole %v, %v; want %v, %v", h.Roles, h.Whole, err, test.roles, test.whole)
			}
		})
	}
}

func TestAnExaminerNeedsAnotherPersonsApproval(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	grant := access.Grant{Issuer: idp, Subject: "eve", Role: "examiner", Until: now.Add(24 * time.Hour), Requester: "spiffe://p/cco"}
	if faults := grant.Faults([]string{idp}); faults != nil {
		t.Fatal(faults)
	}
	g, err := access.NewGrants([]access.Grant{grant})
	if err != nil {
		t.Fatal(err)
	}
	approval := func(change func(*access.Approval)) access.Approval {
		a := access.Approval{Index: 7, Approval: &daybookv1.Approval{
			Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_EXAMINER, Name: idp + "#eve", Approver: "spiffe://p/head",
			NotAfterNs: now.Add(time.Hour).UnixNano(),
		}}
		change(&a)
		return a
	}
	for _, test := range []struct {
		name   string
		change func(*access.Approval)
		why    string // empty: it takes effect
	}{
		{"approved", func(*access.Approval) {}, ""},
		{"revoked", func(a *access.Approval) { a.Revoked = true }, "revoked"},
		{"of the requester", func(a *access.Approval) { a.Approval.Approver = "spiffe://p/cco" }, "asked for it"},
		{"of who asked in the approval", func(a *access.Approval) { a.Approval.Requester = "spiffe://p/head" }, "asked for it"},
		{"of the examiner", func(a *access.Approval) { a.Approval.Approver = idp + "#eve" }, "who it is about"},
		{"of another's", func(a *access.Approval) { a.Approval.Name = idp + "#evelyn" }, "none"},
		{"of another subject", func(a *access.Approval) { a.Approval.Subject = daybookv1.ApprovalSubject_APPROVAL_SUBJECT_ACTOR }, "none"},
		{"ended", func(a *access.Approval) { a.Approval.NotAfterNs = now.UnixNano() }, "ended"},
		{"not yet", func(a *access.Approval) { a.Approval.NotBeforeNs = now.UnixNano() + 1 }, "later"},
	} {
		t.Run(test.name, func(t *testing.T) {
			approvals := access.Approvals{Find: func(context.Context, daybookv1.ApprovalSubject, string) ([]access.Approval, error) {
				return []access.Approval{approval(test.change)}, nil
			}}
			h, err := g.Of(t.Context(), member("eve"), access.Query, now, approvals)
			switch {
			case err != nil:
				t.Fatal(err)
			case test.why == "" && (h.Roles != access.Examiner || h.Approval != 8 || !h.Until.Equal(now.Add(time.Hour))):
				t.Errorf("holds %+v", h)
			case test.why != "" && (h.Roles != 0 || len(h.Withheld) != 1 || !strings.Contains(h.Withheld[0], test.why)):
				t.Errorf("holds %+v, want none because %q", h, test.why)
			}
		})
	}
	if h, err := g.Of(t.Context(), member("eve"), access.Query, now, access.Approvals{}); err != nil || h.Roles != 0 {
		t.Errorf("without approvals: %+v, %v", h, err)
	}
	broken := access.Approvals{Find: func(context.Context, daybookv1.ApprovalSubject, string) ([]access.Approval, error) {
		return nil, errors.New("disk")
	}}
	if _, err := g.Of(t.Context(), member("eve"), access.Query, now, broken); err == nil {
		t.Error("a failed look for approvals passed for none")
	}
}

func TestTwoIdentitiesOfOnePersonAreOne(t *testing.T) {
	act := access.Act{Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_DISPOSAL, Name: "trading 2026-01", Requester: "spiffe://p/cco"}
	list := []access.Approval{{Approval: &daybookv1.Approval{Subject: act.Subject, Name: act.Name, Approver: idp + "#cco"}}}
	if _, err := act.Check(list, nil); err != nil {
		t.Errorf("two identities: %v", err)
	}
	var refused *access.NotApprovedError
	if _, err := act.Check(list, func(string) string { return "cco" }); !errors.As(err, &refused) {
		t.Errorf("one person: %v", err)
	}
}

func TestGrantsReportEveryFault(t *testing.T) {
	for _, test := range []struct {
		grant access.Grant
		want  []string
	}{
		{access.Grant{Role: "reader"}, []string{"exactly one"}},
		{access.Grant{SPIFFE: "spiffe://a/b", Subject: "x", Issuer: idp, Role: "king"}, []string{"exactly one", "issuer", "role"}},
		{access.Grant{Subject: "x", Issuer: "https://other", Role: "reader"}, []string{"issuer"}},
		{access.Grant{SPIFFE: "a", Role: "operator", Listeners: []string{"query"}, Domains: []string{"WEB"}}, []string{"spiffe", "listeners", "domains: only", "no domain id"}},
		{access.Grant{SPIFFE: "spiffe://a/*", Role: "examiner"}, []string{"until", "requester", "one person"}},
		{access.Grant{SPIFFE: "spiffe://a/b", Role: "reader", Requester: "x"}, []string{"requester"}},
		{access.Grant{SPIFFE: "spiffe://a/b", Role: "producer"}, []string{"role"}},
	} {
		text := errors.Join(test.grant.Faults([]string{idp})...).Error()
		for _, want := range test.want {
			if !strings.Contains(text, want) {
				t.Errorf("%+v: the faults do not say %q:\n%s", test.grant, want, text)
			}
		}
	}
}

func TestScopeOfALimitedReader(t *testing.T) {
	s := access.Scope{Domains: map[string]struct{}{"web": {}}, Own: "spiffe://db/app"}
	entry := func(kind daybookv1.Kind, source, target, producer string) *verify.Entry {
		e := new(verify.Entry)
		e.Place.Kind, e.Place.Source, e.Place.Target, e.Head.Producer = kind, source, target, producer
		return e
	}
	for _, test := range []struct {
		name string
		e    *verify.Entry
		sees bool
	}{
		{"from its domain", entry(daybookv1.Kind_KIND_ACCESS, "web", "db", "p"), true},
		{"to its domain", entry(daybookv1.Kind_KIND_ACCESS, "desk", "web", "p"), true},
		{"between others", entry(daybookv1.Kind_KIND_ACCESS, "desk", "db", "p"), false},
		{"between others, its own report", entry(daybookv1.Kind_KIND_ACCESS, "desk", "db", "spiffe://db/app"), true},
		{"an approval of its pair", entry(daybookv1.Kind_KIND_APPROVAL, "web", "db", "p"), true},
		{"an alert of others", entry(daybookv1.Kind_KIND_ALERT, "desk", "db", "p"), false},
		{"activity", entry(daybookv1.Kind_KIND_ACTIVITY, "", "", "p"), false},
		{"activity under its name", entry(daybookv1.Kind_KIND_ACTIVITY, "web", "", "p"), false},
		{"a close", entry(daybookv1.Kind_KIND_CLOSE, "", "", "p"), true},
		{"a part of a map", entry(daybookv1.Kind_KIND_PART, "", "", "p"), false},
		{"a kind of the future", entry(200, "web", "", "p"), false},
	} {
		if got := s.Sees(test.e); got != test.sees {
			t.Errorf("%s: sees %v", test.name, got)
		}
	}
	governs := access.Scope{Governs: "spiffe://p/cco"}
	mine := entry(daybookv1.Kind_KIND_ACTIVITY, "", "", "p")
	var err error
	if mine.Body, err = proto.Marshal(&daybookv1.Activity{Actor: "spiffe://p/cco"}); err != nil {
		t.Fatal(err)
	}
	if !governs.Sees(mine) || !governs.Sees(entry(daybookv1.Kind_KIND_APPROVAL, "web", "db", "p")) || !governs.Sees(entry(daybookv1.Kind_KIND_PART, "", "", "p")) {
		t.Error("an approver does not see what it did, an approval, or a part of a map")
	}
	if governs.Sees(entry(daybookv1.Kind_KIND_ACCESS, "web", "db", "p")) || governs.Sees(entry(daybookv1.Kind_KIND_ACTIVITY, "", "", "p")) || governs.Sees(entry(daybookv1.Kind_KIND_ALERT, "web", "db", "p")) {
		t.Error("an approver sees a crossing, an alert or what others did")
	}
	if (access.Scope{}).Sees(entry(daybookv1.Kind_KIND_CLOSE, "", "", "p")) {
		t.Error("the zero scope sees something")
	}
}
