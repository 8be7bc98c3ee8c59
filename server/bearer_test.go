package server_test

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/client"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/token"
)

// TestAClientSendsItsPersonsToken has a client of a producer's certificate read on
// behalf of a person.
func TestAClientSendsItsPersonsToken(t *testing.T) {
	w, issuer := peopled(t)
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pair, err := w.ca.IssueClient("spiffe://example.com/app/1", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Pointer[string]
	c, err := client.Dial(client.Config{
		Ingest: w.addresses.Ingest, Query: w.addresses.Query, VKey: w.vkey, CA: file("ca.pem", w.ca.Bundle()),
		Certificate: file("c.pem", pair.Certificate), Key: file("c.key", pair.Key), Patience: time.Second,
		Token: func() (string, error) { return *sent.Load(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	read := func(raw string) error {
		sent.Store(&raw)
		_, err := c.List(t.Context(), &apiv1.ListEntriesRequest{}, 1, func(*apiv1.EntryView) bool { return true })
		return err
	}
	if err := read(issuer.Token(t, "tina", "q", "readers")); err != nil {
		t.Fatal(err)
	}
	reads := activities(t, w, daybookv1.ActivityType_ACTIVITY_TYPE_READ)
	if len(reads) != 1 || reads[0].GetActor() != issuer.URL+"#tina" || reads[0].GetAuthentication() != "oidc" {
		t.Errorf("the log says who read: %v", reads)
	}
	if err := read(issuer.Token(t, "tina", "h", "readers")); err == nil || !contains(err.Error(), "listener query") {
		t.Errorf("another listener's token (%s): %v", token.Audience, err)
	}
	if err := read(""); err == nil {
		t.Error("an empty token was sent")
	}
}
