package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/datadir"
)

// openStopped opens the store of a directory that nobody serves, read-only. The
// error is store.ErrLocked where somebody does.
func openStopped(dir datadir.Dir) (*pebblestore.Store, error) {
	exists, err := dir.Exists()
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, fmt.Errorf("%s holds no log: check the path, or make one with `daybookd init --data %s --origin NAME`", dir, dir)
	}
	return pebblestore.Open(pebblestore.Options{Dir: dir.Store(), ReadOnly: true, Logger: quiet})
}

// isServed tells whether the error of openStopped says that a server has the
// directory.
func isServed(err error) bool { return errors.Is(err, store.ErrLocked) }

// dialAdmin connects to the admin listener of the server that has a directory,
// with the directory's operator certificate.
func dialAdmin(dir datadir.Dir) (*grpc.ClientConn, error) {
	b, err := os.ReadFile(dir.Addresses())
	if err != nil {
		return nil, fmt.Errorf("a server has %s, but where it listens is not known: %w", dir, err)
	}
	var addresses server.Addresses
	if err := json.Unmarshal(b, &addresses); err != nil {
		return nil, fmt.Errorf("reading %s: %w", dir.Addresses(), err)
	}
	bundle, err := os.ReadFile(dir.Bundle())
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("%s holds no certificate", dir.Bundle())
	}
	certificate, key := dir.Client(operatorName)
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("the operator's certificate: %w", err)
	}
	return grpc.NewClient(addresses.Admin, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{pair},
	})))
}

// adminError explains the error of a call to a running server.
func adminError(dir datadir.Dir, err error) error {
	if st, ok := status.FromError(err); ok {
		return fmt.Errorf("asking the server of %s: %s (%s)", dir, st.Message(), st.Code())
	}
	return fmt.Errorf("asking the server of %s: %w", dir, err)
}
