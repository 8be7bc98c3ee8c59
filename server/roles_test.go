package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/server/token"
	"github.com/daybook-ledger/daybook/server/token/tokentest"
)

// Who may call what, said a second time and in another way than the table of
// package access says it: for each role the methods, by listener kind.
var mayCall = map[string][]string{
	"producer": {"IngestService/*", "QueryService/GetCheckpoint", "QueryService/WaitWitnessed", "QueryService/GetConsistencyProof", "QueryService/ListKeys", "QueryService/GetReceipts", "QueryService/GetReceiptBatch"},
	"reader":   {"ExportService/*", "QueryService/*", "GovernanceService/Get*", "GovernanceService/List*"},
	"examiner": {"ExportService/*", "QueryService/*", "GovernanceService/Get*", "GovernanceService/List*"},

	"production-officer": {"ExportService/*", "QueryService/*", "GovernanceService/Get*", "GovernanceService/List*"},

	"approver": {"GovernanceService/*", "QueryService/GetEntry", "QueryService/GetReceiptBatch", "QueryService/GetCheckpoint", "QueryService/WaitWitnessed", "QueryService/GetConsistencyProof", "QueryService/ListKeys"},
	"mirror":   {"QueryService/GetCheckpoint", "QueryService/WaitWitnessed", "QueryService/GetConsistencyProof", "QueryService/ListKeys", "QueryService/GetReceiptBatch"},
	"operator": {"AdminService/*"},
	"nobody":   {},
}

// offers are the services of each listener.
var offers = map[string][]string{
	access.Ingest: {"IngestService", "Health"}, access.Query: {"QueryService", "GovernanceService", "ExportService", "Health"},
	access.QueryHTTP: {"QueryService", "GovernanceService", "ExportService"}, access.Admin: {"AdminService", "Health"},
}

func expected(role, method string) bool {
	if strings.HasPrefix(method, "Health/") {
		return true
	}
	return slices.ContainsFunc(mayCall[role], func(pattern string) bool {
		prefix, wild := strings.CutSuffix(pattern, "*")
		return wild && strings.HasPrefix(method, prefix) || method == pattern
	})
}

// A someone is an identity of the matrix.
type someone struct {
	name        string
	certificate string                     // SPIFFE id; empty: none
	subject     string                     // of a token, fit for each listener; empty: none
	roles       map[string]map[string]bool // by listener
}

// on is what a role means on the listeners it is for.
func on(role string, listeners ...string) map[string]map[string]bool {
	m := make(map[string]map[string]bool)
	for _, l := range listeners {
		m[l] = map[string]bool{role: true}
	}
	return m
}

var everybody = []someone{
	{"a producer", "spiffe://example.com/app/1", "", on("producer", access.Ingest, access.Query, access.QueryHTTP)},
	{"a reader", "spiffe://people.example/reader", "", on("reader", access.Query, access.QueryHTTP)},
	{"a reader on query alone", "spiffe://people.example/query-reader", "", on("reader", access.Query)},
	{"an approved examiner", "spiffe://people.example/examiner", "", on("examiner", access.Query, access.QueryHTTP, access.Public)},
	{"an examiner nobody approved", "spiffe://people.example/unapproved", "", nil},
	{"an examiner whose time is over", "spiffe://people.example/over", "", nil},
	{"a production officer", "spiffe://people.example/officer", "", on("production-officer", access.Query, access.QueryHTTP)},
	{"an approver", "spiffe://people.example/approver", "", on("approver", access.Query, access.QueryHTTP)},
	{"a mirror", "spiffe://people.example/mirror", "", on("mirror", access.Query, access.QueryHTTP, access.Public)},
	{"an operator", "spiffe://people.example/operator", "", on("operator", access.Admin)},
	{"nobody", "spiffe://people.example/nobody", "", nil},
	{"a token's reader", "", "tina", on("reader", access.Query, access.QueryHTTP)},
	{"a token's operator", "", "otto", on("operator", access.Admin)},
	{"a token's mirror", "", "mia", on("mirror", access.Query, access.QueryHTTP, access.Public)},
	{"a token's nobody", "", "nora", nil},
	{"a token's reader on a producer's certificate", "spiffe://example.com/app/1", "tina", on("reader", access.Query, access.QueryHTTP)},
}

// peopled is a world with everybody in it, and their issuer.
func peopled(t *testing.T) (*world, *tokentest.Issuer) {
	t.Helper()
	issuer := tokentest.New(t)
	spiffe := func(name, role string) access.Grant {
		return access.Grant{SPIFFE: "spiffe://people.example/" + name, Role: role}
	}
	examiner := func(name string, until time.Duration) access.Grant {
		g := spiffe(name, "examiner")
		g.Until, g.Requester = time.Now().Add(until), "spiffe://people.example/cco"
		return g
	}
	narrow := spiffe("query-reader", "reader")
	narrow.Listeners = []string{access.Query}
	w := newWorldOn(t, world{
		config: func(c *config.Config) {
			c.People.OIDC = []config.OIDC{{Issuer: issuer.URL, Audience: map[string]string{
				access.Query: "q", access.QueryHTTP: "h", access.Admin: "a", access.Public: "p"}, Algorithms: []string{"ES256"}}}
			c.Listeners.Public.Certificate, c.Listeners.Public.Key = "given by the options", "and so is its key"
			c.People.Grants = []access.Grant{
				spiffe("reader", "reader"), narrow, examiner("examiner", time.Hour), examiner("unapproved", time.Hour), examiner("over", -time.Hour),
				spiffe("officer", "production-officer"), spiffe("approver", "approver"), spiffe("mirror", "mirror"), spiffe("operator", "operator"),
				{Issuer: issuer.URL, Group: "readers", Role: "reader"}, {Issuer: issuer.URL, Subject: "otto", Role: "operator"},
				{Issuer: issuer.URL, Subject: "mia", Role: "mirror"},
			}
		},
		options: func(o *server.Options) {
			o.Record = o.Log.Record
			o.Certificates[access.Public] = o.Certificates["operations"]
			var err error
			o.Tokens, err = token.New([]token.Issuer{{URL: issuer.URL, Roots: issuer.Roots, Groups: "groups", Algorithms: []string{"ES256"},
				Audience: map[string]string{access.Query: "q", access.QueryHTTP: "h", access.Admin: "a", access.Public: "p"}, Skew: 10 * time.Second}}, time.Now)
			if err != nil {
				t.Fatal(err)
			}
		},
	})
	for _, name := range []string{"examiner", "over"} {
		_, _, err := w.log.Approve(t.Context(), ledger.Person{ID: "spiffe://people.example/head", Authentication: "mtls"}, &daybookv1.Approval{
			Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_EXAMINER, Name: "spiffe://people.example/" + name, Purpose: "examination",
			NotAfterNs: time.Now().Add(time.Hour).UnixNano()})
		if err != nil {
			t.Fatal(err)
		}
	}
	return w, issuer
}

var audiences = map[string]string{access.Query: "q", access.QueryHTTP: "h", access.Admin: "a", access.Public: "p", access.Ingest: "i"}

func (p *someone) token(t *testing.T, i *tokentest.Issuer, listener string) string {
	groups := []string{"others"}
	if p.subject == "tina" {
		groups = append(groups, "readers")
	}
	return i.Token(t, p.subject, audiences[listener], groups...)
}

// methods are all methods of the API and of health, from the descriptors.
func methods() []protoreflect.MethodDescriptor {
	var list []protoreflect.MethodDescriptor
	add := func(file protoreflect.FileDescriptor) bool {
		for s := range file.Services().Len() {
			for m := range file.Services().Get(s).Methods().Len() {
				list = append(list, file.Services().Get(s).Methods().Get(m))
			}
		}
		return true
	}
	protoregistry.GlobalFiles.RangeFilesByPackage(apiv1.File_daybook_api_v1_query_proto.Package(), add)
	add(grpc_health_v1.File_grpc_health_v1_health_proto)
	return list
}

func nameOf(m protoreflect.MethodDescriptor) string {
	return string(m.Parent().Name()) + "/" + string(m.Name())
}

// invoke calls a method with an empty request, and returns its error.
func invoke(t *testing.T, conn *grpc.ClientConn, bearer string, m protoreflect.MethodDescriptor) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if bearer != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+bearer)
	}
	name := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	in, out := dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
	if !m.IsStreamingClient() && !m.IsStreamingServer() {
		return conn.Invoke(ctx, name, in, out)
	}
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: m.IsStreamingClient(), ServerStreams: m.IsStreamingServer()}, name)
	if err != nil {
		return err
	}
	if err := s.SendMsg(in); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	if err := s.RecvMsg(out); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// verdictOf tells what a call came to: let in, refused, or not offered.
func verdictOf(err error) string {
	switch status.Code(err) {
	case codes.PermissionDenied, codes.Unauthenticated:
		return "refused"
	case codes.Unimplemented:
		return "not offered"
	}
	return "let in"
}

func TestEveryIdentityOnEveryMethodOfEveryListener(t *testing.T) {
	w, issuer := peopled(t)
	addresses := map[string]string{access.Ingest: w.addresses.Ingest, access.Query: w.addresses.Query, access.Admin: w.addresses.Admin}
	calls := 0
	for _, p := range everybody {
		t.Run(p.name, func(t *testing.T) {
			for _, listener := range slices.Sorted(maps.Keys(addresses)) {
				if p.certificate == "" && listener == access.Ingest {
					continue // no handshake: see TestNothingValidOnOneListenerIsValidOnAnother
				}
				conn := dial(t, addresses[listener], w.tlsOf(t, w.ca, p.certificate, time.Now()))
				bearer := ""
				if p.subject != "" {
					bearer = p.token(t, issuer, listener)
				}
				for _, m := range methods() {
					calls++
					want := "refused"
					switch {
					case !slices.Contains(offers[listener], string(m.Parent().Name())) || !w.serves(listener, string(m.Parent().FullName())):
						want = "not offered"
					case bearer != "" && listener == access.Ingest: // takes no tokens
					case slices.ContainsFunc(slices.Collect(maps.Keys(p.roles[listener])), func(role string) bool { return expected(role, nameOf(m)) }),
						expected("nobody", nameOf(m)):
						want = "let in"
					}
					err := invoke(t, conn, bearer, m)
					if got := verdictOf(err); got != want && !(want == "not offered" && got == "refused") {
						t.Errorf("%s on %s: %s (%v), want %s", nameOf(m), listener, got, err, want)
					}
				}
			}
		})
	}
	t.Logf("%d calls", calls)
}

// serves tells whether a listener has a service registered.
func (w *world) serves(listener, service string) bool {
	return slices.Contains(w.services[listener], service)
}

// restOf is the REST request of a method; "" where it has none.
func restOf(m protoreflect.MethodDescriptor) (verb, path string) {
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	switch {
	case rule.GetGet() != "":
		verb, path = http.MethodGet, rule.GetGet()
	case rule.GetPost() != "":
		verb, path = http.MethodPost, rule.GetPost()
	}
	for _, name := range []string{"index", "field", "event_id", "day", "run", "approval"} {
		value := map[string]string{"index": "0", "field": "source", "day": "2026-01-01"}[name]
		if value == "" {
			value = "00"
		}
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	return verb, path
}

func TestEveryIdentityOnEveryRoute(t *testing.T) {
	w, issuer := peopled(t)
	for _, p := range everybody {
		t.Run(p.name, func(t *testing.T) {
			c := web(t, w.tlsOf(t, w.ca, p.certificate, time.Now()))
			bearer := ""
			if p.subject != "" {
				bearer = p.token(t, issuer, access.QueryHTTP)
			}
			for _, m := range methods() {
				verb, path := restOf(m)
				if path == "" {
					if slices.Contains(offers[access.QueryHTTP], string(m.Parent().Name())) {
						t.Errorf("%s has no route", nameOf(m))
					}
					continue
				}
				if !w.serves(access.Query, string(m.Parent().FullName())) {
					continue
				}
				code := ask(t, c, verb, "https://"+w.addresses.QueryHTTP+path, bearer)
				may := slices.ContainsFunc(slices.Collect(maps.Keys(p.roles[access.QueryHTTP])), func(role string) bool { return expected(role, nameOf(m)) })
				if refused := code == http.StatusForbidden || code == http.StatusUnauthorized; refused == may {
					t.Errorf("%s %s: %d, want let in: %v", verb, path, code, may)
				}
			}
			if code := ask(t, c, http.MethodGet, "https://"+w.addresses.QueryHTTP+"/openapi.json", bearer); code != http.StatusOK {
				t.Errorf("the description of the API: %d", code)
			}
		})
	}
}

// ask makes a request and returns the code of its answer; 0 where TLS failed.
func ask(t *testing.T, c *http.Client, verb, url, bearer string) int {
	t.Helper()
	var body io.Reader
	if verb == http.MethodPost {
		body = bytes.NewReader([]byte("{}"))
	}
	r, err := http.NewRequestWithContext(t.Context(), verb, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var refused struct{ Details []map[string]any }
	if resp.StatusCode >= 400 && json.Unmarshal(text, &refused) == nil && len(refused.Details) == 0 {
		t.Errorf("%s %s: %d without a reason: %s", verb, url, resp.StatusCode, text)
	}
	return resp.StatusCode
}

// A proof of who one is, good or bad, for one listener.
type presented struct {
	name        string
	certificate func() *tls.Config
	token       string
	reason      string // "": let in; "TLS": no handshake
}

func TestNothingValidOnOneListenerIsValidOnAnother(t *testing.T) {
	w, issuer := peopled(t)
	stranger := tokentest.New(t)
	other, err := identity.NewAuthority("people.example", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	none := func() *tls.Config { return w.tlsOf(t, w.ca, "", time.Now()) }
	revoked := w.tlsOf(t, w.ca, "spiffe://people.example/reader", time.Now())
	leaf, err := x509.ParseCertificate(revoked.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := w.trusted.Replace(w.ca.Bundle(), nil, []identity.Revocation{{Issuer: leaf.Issuer.String(), Serial: identity.FormatSerial(leaf.SerialNumber)}}); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * 397 * 24 * time.Hour)
	late := func(audience string) string {
		claims := issuer.Claims("tina", audience, "readers")
		claims["exp"] = time.Now().Add(-time.Minute).Unix()
		return issuer.Sign(t, claims)
	}
	for _, listener := range []string{access.Ingest, access.Query, access.QueryHTTP, access.Admin} {
		takes := listener != access.Ingest
		tokenOr := func(reason string) string {
			if !takes {
				return "TLS"
			}
			return reason
		}
		list := []presented{
			{"neither certificate nor token", none, "", tokenOr(server.ReasonUnauthenticated)},
			{"an expired token", none, late(audiences[listener]), tokenOr(token.Expired)},
			{"a token of another issuer", none, stranger.Token(t, "tina", audiences[listener], "readers"), tokenOr(token.Untrusted)},
			{"a forged token", none, stranger.Sign(t, issuer.Claims("tina", audiences[listener], "readers")), tokenOr(token.Signature)},
			{"an unsigned token", none, tokentest.Unsigned(t, issuer.Claims("tina", audiences[listener])), tokenOr(token.Algorithm)},
			{"a token for all listeners", none, issuer.Sign(t, map[string]any{"iss": issuer.URL, "sub": "tina", "exp": time.Now().Add(time.Hour).Unix(),
				"aud": []string{"q", "h", "a"}, "groups": []string{"readers"}}), tokenOr(token.Audience)},
			{"a certificate of another CA", func() *tls.Config { return insist(w.tlsOf(t, other, "spiffe://people.example/reader", time.Now())) }, "", "TLS"},
			{"an expired certificate", func() *tls.Config { return w.tlsOf(t, w.ca, "spiffe://people.example/reader", long) }, "", server.ReasonExpired},
			{"a revoked certificate", func() *tls.Config { return revoked }, "", server.ReasonRevoked},
			{"a good token on a revoked certificate", func() *tls.Config { return revoked }, issuer.Token(t, "tina", audiences[listener], "readers"), server.ReasonRevoked},
			{"a bad token on a good certificate", func() *tls.Config { return w.tlsOf(t, w.ca, "spiffe://people.example/reader", time.Now()) },
				late(audiences[listener]), map[bool]string{true: token.Expired, false: token.Audience}[takes]},
		}
		for from, audience := range audiences {
			if from != listener && from != access.Ingest {
				list = append(list, presented{"a token of " + from, none, issuer.Token(t, "tina", audience, "readers"), tokenOr(token.Audience)})
			}
		}
		for _, p := range list {
			t.Run(listener+"/"+p.name, func(t *testing.T) {
				got := w.present(t, listener, p)
				if got != p.reason {
					t.Errorf("got %q, want %q", got, p.reason)
				}
			})
		}
	}
	wantRefusals(t, w, issuer.URL+"#tina "+token.Expired, issuer.URL+"#tina "+token.Audience, "spiffe://people.example/reader "+token.Audience)
}

// insist sends the certificate whatever CAs the server hints at.
func insist(c *tls.Config) *tls.Config {
	certificate := c.Certificates[0]
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
	return c
}

// present makes one call and returns the reason of its refusal; "TLS" where there
// was no handshake.
func (w *world) present(t *testing.T, listener string, p presented) string {
	t.Helper()
	if listener == access.QueryHTTP {
		return w.presentHTTP(t, p)
	}
	address := map[string]string{access.Ingest: w.addresses.Ingest, access.Query: w.addresses.Query, access.Admin: w.addresses.Admin}[listener]
	conn := dial(t, address, p.certificate())
	method := map[string]string{access.Ingest: "AppendOneOff", access.Query: "GetCheckpoint", access.Admin: "GetStatus"}[listener]
	for _, m := range methods() {
		if string(m.Name()) != method {
			continue
		}
		err := invoke(t, conn, p.token, m)
		if status.Code(err) == codes.Unavailable && reason(err) == "" {
			return "TLS"
		}
		return reason(err)
	}
	t.Fatalf("no method %s", method)
	return ""
}

func (w *world) presentHTTP(t *testing.T, p presented) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+w.addresses.QueryHTTP+"/v1/checkpoint", nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	resp, err := web(t, p.certificate()).Do(r)
	if err != nil {
		return "TLS"
	}
	defer resp.Body.Close()
	var refused struct {
		Details []struct{ Reason string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&refused); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusOK {
		return ""
	}
	if len(refused.Details) == 0 {
		return fmt.Sprint("status ", resp.StatusCode)
	}
	return refused.Details[0].Reason
}

// wantRefusals waits until the log has an entry for each `actor code`.
func wantRefusals(t *testing.T, w *world, want ...string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		have := make(map[string]bool)
		for _, a := range activities(t, w, daybookv1.ActivityType_ACTIVITY_TYPE_REFUSED) {
			have[a.GetActor()+" "+a.GetCode()] = true
		}
		missing := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return have[s] })
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no entry tells of %v; there are %v", missing, slices.Sorted(maps.Keys(have)))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestAnIssuerOutOfReachIsUnavailable(t *testing.T) {
	w, issuer := peopled(t)
	issuer.Down(true)
	q := apiv1.NewQueryServiceClient(dial(t, w.addresses.Query, w.tlsOf(t, w.ca, "", time.Now())))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+issuer.Token(t, "tina", "q", "readers"))
	_, err := q.GetCheckpoint(ctx, &apiv1.GetCheckpointRequest{})
	if wantReason(t, err, server.ReasonIssuer); status.Code(err) != codes.Unavailable || retryAfter(err) <= 0 {
		t.Errorf("error is %v, to be tried again after %v", err, retryAfter(err))
	}
	// Who has a certificate does not need the issuer.
	c := apiv1.NewQueryServiceClient(dial(t, w.addresses.Query, w.tlsOf(t, w.ca, "spiffe://people.example/reader", time.Now())))
	if _, err := c.GetCheckpoint(t.Context(), &apiv1.GetCheckpointRequest{}); err != nil {
		t.Error(err)
	}
}
