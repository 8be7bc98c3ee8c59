package server_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/verify"
)

// declared is a domain map, as far as identities need it.
type declared struct{ domains []*daybookv1.Domain }

func (d *declared) Resolve(name []byte) (string, bool) {
	for _, domain := range d.domains {
		if domain.Id == string(name) {
			return domain.Id, true
		}
	}
	return "?unmapped", false
}

func (d *declared) Document() *daybookv1.MapDocument {
	return &daybookv1.MapDocument{Domains: d.domains}
}

// bound declares one domain whose credentials a CA issues.
func bound(t *testing.T, domain string, ca *identity.Authority) *declared {
	t.Helper()
	cas, err := identity.ParseBundle(ca.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cas[0].RawSubjectPublicKeyInfo)
	return &declared{[]*daybookv1.Domain{{Id: domain, Issuer: &daybookv1.Issuer{CaSha256: [][]byte{sum[:]}}}}}
}

// refusals stops the server and returns what its log says of refusals: actor,
// listener, code, count.
func (w *world) refusals(t *testing.T) []string {
	t.Helper()
	w.stop()
	if err := <-w.ended; err != nil {
		t.Errorf("the server ended with: %v", err)
	}
	w.serve(t)
	var out []string
	err := w.log.Entries(t.Context(), 0, w.log.Head().Size, func(_ uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		if err != nil || e.Place.Kind != daybookv1.Kind_KIND_ACTIVITY {
			return err
		}
		var a daybookv1.Activity
		if err := proto.Unmarshal(e.Body, &a); err != nil {
			return err
		}
		if a.Type == daybookv1.ActivityType_ACTIVITY_TYPE_REFUSED {
			out = append(out, fmt.Sprintf("%s %s %s %d", a.Actor, a.Listener, a.Code, a.Count))
			if a.Detail == "" {
				t.Errorf("refusal of %s says nothing", a.Actor)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// TestRefusalsAreTypedCountedAndRecorded: every way in which a certificate is not
// accepted.
func TestRefusalsAreTypedCountedAndRecorded(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	desk, err := identity.NewAuthority("desk.example", now)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := identity.NewAuthority("example.com", now)
	if err != nil {
		t.Fatal(err)
	}
	const revokedID, deskID = "spiffe://example.com/app/revoked", "spiffe://desk.example/a"
	revoked := w.tlsOf(t, w.ca, revokedID, now)
	leaf, err := x509.ParseCertificate(revoked.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := w.trusted.Replace(w.ca.Bundle(), map[string][]byte{"desk.example": desk.Bundle()},
		[]identity.Revocation{{Issuer: leaf.Issuer.String(), Serial: identity.FormatSerial(leaf.SerialNumber)}}); err != nil {
		t.Fatal(err)
	}
	old := now.Add(-500 * 24 * time.Hour)
	for _, c := range []struct {
		name   string
		as     *tls.Config
		code   codes.Code
		reason string
		says   string
	}{
		{"expired", w.tlsOf(t, w.ca, producer, old), codes.Unauthenticated, server.ReasonExpired, "daybookd identity renew --data DIR --id " + producer},
		{"expired again", w.tlsOf(t, w.ca, producer, old), codes.Unauthenticated, server.ReasonExpired, ""},
		{"not yet valid", w.tlsOf(t, w.ca, producer, now.Add(48*time.Hour)), codes.Unauthenticated, server.ReasonNotYetValid, "clocks"},
		{"revoked", revoked, codes.Unauthenticated, server.ReasonRevoked, "revoked"},
		{"another domain's CA", w.tlsOf(t, w.ca, deskID, now), codes.Unauthenticated, server.ReasonWrongCA, "own CA"},
		{"not on the list", w.tlsOf(t, w.ca, operator, now), codes.PermissionDenied, server.ReasonNotAllowed, "access"},
		{"nobody's CA", w.tlsOf(t, stranger, producer, now), codes.Unavailable, "", ""},
		{"no certificate", w.tlsOf(t, w.ca, "", now), codes.Unavailable, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := apiv1.NewIngestServiceClient(dial(t, w.addresses.Ingest, c.as)).Append(t.Context(), &apiv1.AppendRequest{})
			if status.Code(err) != c.code || !strings.Contains(status.Convert(err).Message(), c.says) {
				t.Errorf("answer %v, want %v that says %q", err, c.code, c.says)
			}
			wantReason(t, err, c.reason)
		})
	}
	conn := dial(t, w.addresses.Ingest, w.tlsOf(t, w.ca, producer, now))
	_, err = apiv1.NewAdminServiceClient(conn).GetStatus(t.Context(), &apiv1.GetStatusRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("the admin service on ingest: %v", err)
	}
	wantReason(t, err, server.ReasonWrongListener)
	code, body := get(t, web(t, w.tlsOf(t, w.ca, producer, old)), "https://"+w.addresses.QueryHTTP+"/v1/checkpoint")
	if code != 401 || !contains(body, "daybookd identity renew") {
		t.Errorf("REST with an expired certificate: %d %s", code, body)
	}
	w.wantMetrics(t,
		`daybook_refusals_total{listener="ingest",reason="CERTIFICATE_EXPIRED"} 2`,
		`daybook_refusals_total{listener="ingest",reason="WRONG_CA"} 1`,
		`daybook_refusals_total{listener="ingest",reason="WRONG_LISTENER"} 1`,
		`daybook_refusals_total{listener="ingest",reason="UNKNOWN_CA"}`,
		`daybook_refusals_total{listener="ingest",reason="NO_CERTIFICATE"}`,
		`daybook_certificate_expiry_seconds{kind="listener",subject="ingest"}`,
		`daybook_certificate_expiry_seconds{kind="producer",subject="spiffe://example.com/producer"}`,
	)
	want := []string{
		operator + " ingest NOT_ALLOWED 1",
		revokedID + " ingest CERTIFICATE_REVOKED 1",
		producer + " ingest CERTIFICATE_EXPIRED 2",
		producer + " ingest CERTIFICATE_NOT_YET_VALID 1",
		producer + " ingest WRONG_LISTENER 1",
		producer + " query_http CERTIFICATE_EXPIRED 1",
		"unknown ingest WRONG_CA 1",
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, folded(w.refusals(t))); diff != "" {
		t.Errorf("refusals in the log (-want +got):\n%s", diff)
	}
}

// folded adds up the counts of entries that differ in nothing else: the second may
// have ended between them.
func folded(refusals []string) []string {
	counts := map[string]int{}
	for _, r := range refusals {
		at := strings.LastIndexByte(r, ' ')
		var n int
		fmt.Sscan(r[at:], &n)
		counts[r[:at]] += n
	}
	var out []string
	for r, n := range counts {
		out = append(out, fmt.Sprintf("%s %d", r, n))
	}
	slices.Sort(out)
	return out
}

// wantMetrics looks for lines that begin like these.
func (w *world) wantMetrics(t *testing.T, lines ...string) {
	t.Helper()
	_, body := get(t, web(t, w.tlsOf(t, w.ca, "", time.Now())), "https://"+w.addresses.Operations+"/metrics")
	for _, line := range lines {
		if !contains(body, "\n"+line) {
			t.Errorf("no metric %s", line)
		}
	}
}

// TestAuthorizationIsAskedForEachBatch: on an open stream the next batch is
// refused once the map binds the domain to another CA, or the certificate is
// revoked; what was answered before stays.
func TestAuthorizationIsAskedForEachBatch(t *testing.T) {
	now := time.Now()
	other, err := identity.NewAuthority("example.com", now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, reason string
		change       func(w *world, inForce *atomic.Pointer[declared], fingerprint string) error
	}{
		{"another map", server.ReasonWrongCA, func(_ *world, inForce *atomic.Pointer[declared], _ string) error {
			inForce.Store(bound(t, "example.com", other))
			return nil
		}},
		{"revoked", server.ReasonRevoked, func(w *world, _ *atomic.Pointer[declared], fingerprint string) error {
			return w.trusted.Replace(w.ca.Bundle(), nil, []identity.Revocation{{SPKI: fingerprint}})
		}},
		{"another CA for the domain", server.ReasonWrongCA, func(w *world, _ *atomic.Pointer[declared], _ string) error {
			return w.trusted.Replace(w.ca.Bundle(), map[string][]byte{"example.com": other.Bundle()}, nil)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var inForce atomic.Pointer[declared]
			w := newWorldOn(t, world{mapInForce: func() server.DomainMap {
				if m := inForce.Load(); m != nil {
					return m
				}
				return nil
			}})
			inForce.Store(bound(t, "example.com", w.ca))
			as := w.tlsOf(t, w.ca, producer, now)
			leaf, err := x509.ParseCertificate(as.Certificates[0].Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			ingest := apiv1.NewIngestServiceClient(dial(t, w.addresses.Ingest, as))
			run := openRun(t, ingest)
			stream, err := ingest.AppendStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.Send(&apiv1.AppendStreamRequest{Append: batch(t, run, 1, 3)}); err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
			if err := c.change(w, &inForce, fmt.Sprintf("%x", sha256.Sum256(leaf.RawSubjectPublicKeyInfo))); err != nil {
				t.Fatal(err)
			}
			if err := stream.Send(&apiv1.AppendStreamRequest{Append: batch(t, run, 4, 3)}); err != nil {
				t.Fatal(err)
			}
			_, err = stream.Recv()
			wantReason(t, err, c.reason)
			_, err = ingest.Append(t.Context(), batch(t, run, 4, 3))
			wantReason(t, err, c.reason)
			if got := folded(w.refusals(t)); len(got) != 1 || !contains(got[0], " ingest "+c.reason+" 2") {
				t.Errorf("refusals in the log: %q", got)
			}
		})
	}
}

// TestExpiryIsRaisedOnce: a producer whose certificate ends in 20 days connects to
// two servers of one log, one after the other.
func TestExpiryIsRaisedOnce(t *testing.T) {
	w := newWorld(t)
	raised := func() (n int) {
		err := w.log.Entries(t.Context(), 0, w.log.Head().Size, func(_ uint64, raw []byte) error {
			e, err := verify.ParseEntry(raw)
			if err != nil || e.Place.Kind != daybookv1.Kind_KIND_ALERT {
				return err
			}
			var m daybookv1.Alert
			if err := proto.Unmarshal(e.Body, &m); err != nil {
				return err
			}
			if m.Type == daybookv1.AlertType_ALERT_TYPE_EXPIRY && m.Subject == producer && contains(m.Detail, "daybookd identity renew") {
				n++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	issued := time.Now().Add(-377 * 24 * time.Hour)
	for i, id := range []string{producer, producer, "spiffe://example.com/app/1"} {
		as := w.tlsOf(t, w.ca, id, issued)
		openRun(t, apiv1.NewIngestServiceClient(dial(t, w.addresses.Ingest, as)))
		for raised() == 0 && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		w.refusals(t) // begins anew
		if n := raised(); n != 1 {
			t.Fatalf("after server %d there are %d alerts", i, n)
		}
	}
}
