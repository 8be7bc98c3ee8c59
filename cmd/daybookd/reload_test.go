package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/server/identity"
)

// leafOf reads a certificate.
func leafOf(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// operationsClient trusts the directory's CA, and notes which certificate it saw.
func operationsClient(t *testing.T, dir datadir.Dir, served **x509.Certificate) *http.Client {
	t.Helper()
	bundle, err := os.ReadFile(dir.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots,
		VerifyConnection: func(s tls.ConnectionState) error { *served = s.PeerCertificates[0]; return nil }}}}
}

// until asks again and again until it holds; the files are looked at every so
// often.
func until(t *testing.T, holds func() bool) {
	t.Helper()
	for !holds() {
		if t.Context().Err() != nil {
			t.Fatal("the test ended before the server took the files over")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestServerTakesFilesOver: a listener's certificate, a broken one in its place,
// and the list of revoked certificates, while one server runs and one client goes
// on.
func TestServerTakesFilesOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	s, _ := serving(t, path, true)
	dir := datadir.Dir(path)
	good, bad := issueAt(t, path, webApp, time.Now()), issueAt(t, path, "spiffe://web/stolen", time.Now())
	going, stolen := openFirstHand(t, dialIdentity(t, good, nil)), openFirstHand(t, dialIdentity(t, bad, func(c *client.Config) { c.Patience = time.Millisecond }))

	var served *x509.Certificate
	web := operationsClient(t, dir, &served)
	metrics := func() string {
		resp, err := web.Get("https://" + s.Addresses.Operations + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	authority, err := openAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.IssueServer("operations", []string{"127.0.0.1", "renewed.example"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := writePair(pair, first(dir.Listener("operations")), second(dir.Listener("operations"))); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { metrics(); return served.VerifyHostname("renewed.example") == nil })

	if err := datadir.WriteFile(first(dir.Listener("operations")), []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool {
		return strings.Contains(metrics(), `daybook_reloads_total{outcome="refused",what="listener operations"}`)
	})
	if served.VerifyHostname("renewed.example") != nil {
		t.Error("the broken certificate took the place of the good one")
	}

	leaf := leafOf(t, filepath.Join(bad, "certificate.pem"))
	config := fmt.Sprintf("revoked:\n  - {issuer: %q, serial: %q}\n", leaf.Issuer, identity.FormatSerial(leaf.SerialNumber))
	if err := datadir.WriteFile(dir.Config(), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	n := 0
	until(t, func() bool {
		n++
		_, err := stolen.Append(t.Context(), webEvent(t, fmt.Sprintf("s%d", n)))
		if err != nil && !errors.Is(err, client.ErrCertificate) {
			t.Fatal(err)
		}
		return err != nil
	})
	if _, err := going.Append(context.WithoutCancel(t.Context()), webEvent(t, "e")); err != nil {
		t.Errorf("the other client was disturbed: %v", err)
	}
}

func first(a, _ string) string  { return a }
func second(_, b string) string { return b }
