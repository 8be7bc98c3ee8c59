package importer_test

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/identity"
)

// testLog is a real log on a memory file system, served with TLS.
type testLog struct {
	vkey      string
	addresses server.Addresses
	dir       string // certificates
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// startLog makes a log and serves it until the test ends.
func startLog(t *testing.T) *testLog {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, "demo.invalid/import-test")
	check(t, err)
	signer, err := note.NewSigner(skey)
	check(t, err)
	engine, err := pebblestore.Open(pebblestore.Options{Dir: "store", FS: vfs.NewMem(), CacheBytes: 8 << 20, MemTableBytes: 8 << 20})
	check(t, err)
	t.Cleanup(func() { check(t, engine.Close()) })
	check(t, ledger.Create(t.Context(), ledger.CreateConfig{Store: engine, Signer: signer, VKey: vkey}))
	log, err := ledger.Open(t.Context(), ledger.Config{Store: engine, Signer: signer, VKey: vkey, Dev: true})
	check(t, err)
	authority, err := identity.NewAuthority("demo.invalid", time.Now())
	check(t, err)
	l := &testLog{vkey: vkey, dir: t.TempDir()}
	l.serve(t, log, authority)
	return l
}

// serve runs log and server until the test ends: first the server, then the log.
func (l *testLog) serve(t *testing.T, log *ledger.Ledger, authority *identity.Authority) {
	t.Helper()
	free := "127.0.0.1:0"
	c := &config.Config{Listen: config.Listen{
		Ingest: free, Query: free, QueryHTTP: free, Admin: free, Public: free, Operations: free,
	}}
	check(t, c.Complete("demo.invalid"))
	pairs := map[string]identity.Pair{}
	for _, name := range server.CertificateNames {
		pair, err := authority.IssueServer(name, c.CertificateHosts(), time.Now())
		check(t, err)
		pairs[name] = pair
	}
	producer, err := authority.IssueClient("spiffe://demo.invalid/producer", nil, time.Now())
	check(t, err)
	for name, text := range map[string][]byte{
		"ca.pem": authority.Bundle(), "producer.pem": producer.Certificate, "producer.key": producer.Key,
	} {
		check(t, os.WriteFile(filepath.Join(l.dir, name), text, 0o600))
	}
	trust, err := identity.NewTrust(authority.Bundle(), nil)
	check(t, err)
	s, err := server.Listen(server.Options{
		Log: log, Config: c, Trust: trust, Certificates: pairs, Metrics: server.NewMetrics("test"), Version: "test",
	})
	check(t, err)
	l.addresses = s.Addresses()
	serving, stopServer := context.WithCancel(context.Background())
	running, stopLog := context.WithCancel(context.Background())
	served, ran := make(chan error, 1), make(chan error, 1)
	go func() { ran <- log.Run(running) }()
	go func() { served <- s.Run(serving) }()
	t.Cleanup(func() {
		stopServer()
		check(t, <-served)
		stopLog()
		check(t, <-ran)
	})
}

// dial returns a client of the log.
func (l *testLog) dial(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.Dial(client.Config{
		Ingest: l.addresses.Ingest, Query: l.addresses.Query, VKey: l.vkey,
		CA: filepath.Join(l.dir, "ca.pem"), Certificate: filepath.Join(l.dir, "producer.pem"), Key: filepath.Join(l.dir, "producer.key"),
	})
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	return c
}
