package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	"github.com/daybook-ledger/daybook/ledger/vault"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/datadir"
)

// runningServer is a log that is served. Wait for it.
type runningServer struct {
	Dir       datadir.Dir
	Origin    string
	VKey      string
	Addresses server.Addresses

	log     *slog.Logger
	ballast *pebblestore.Ballast
	store   *pebblestore.Store
	ledger  *ledger.Ledger
	server  *server.Server
	keep    func(ctx context.Context) // keeps the identities until ctx ends
	done    chan struct{}             // closed once everything has ended
	err     error                     // set before done is closed
}

// startServer opens a log and serves it until ctx ends. It returns once the
// listeners accept; nothing is left behind where it fails.
func startServer(ctx context.Context, o serveOptions) (*runningServer, error) {
	if _, err := loadConfig(o, demoDomain); err != nil {
		return nil, err // before a log is made for it
	}
	if err := ensureLog(ctx, o); err != nil {
		return nil, err
	}
	authority, err := openAuthority(o.Dir)
	if err != nil {
		return nil, err
	}
	c, err := loadConfig(o, authority.Domain())
	if err != nil {
		return nil, err
	}
	log := newLogger(c.Log, o.Stderr)
	ballast, err := openBallast(o, c.Limits, log)
	if err != nil {
		return nil, err
	}
	ids, err := openIdentities(o.Dir, authority, o.configPath(), c, log)
	if err != nil {
		return nil, err
	}
	r := &runningServer{Dir: o.Dir, log: log, ballast: ballast, done: make(chan struct{})}
	if err := r.open(ctx, o, c, ids); err != nil {
		return nil, errors.Join(err, r.close())
	}
	if err := writeAddresses(o.Dir, r.Addresses); err != nil {
		return nil, errors.Join(err, r.close())
	}
	go func() {
		defer close(r.done)
		r.err = r.run(ctx)
	}()
	return r, nil
}

// open opens store, ledger and listeners.
func (r *runningServer) open(ctx context.Context, o serveOptions, c *config.Config, ids *identities) error {
	keys := keyring{o.Dir}
	signer, vkey, err := keys.present()
	if err != nil {
		return err
	}
	metrics := server.NewMetrics(version())
	r.keep = func(ctx context.Context) { r.keepIdentities(ctx, c, ids, metrics) }
	r.store, err = pebblestore.Open(pebblestore.Options{Dir: o.Dir.Store(), MustExist: true, Logger: r.log, Ballast: r.ballast})
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("%s is served already, by another daybookd: end that one first", o.Dir)
	}
	if err != nil {
		return err
	}
	metrics.Register(storeCollector{r.store, r.ballast})
	policy, cosigners, err := readPolicy(c, vkey)
	if err != nil {
		return err
	}
	r.ledger, err = ledger.Open(ctx, ledger.Config{
		Policy: cosigners, AwaitWitnesses: true,
		Store: r.store, Signer: signer, VKey: vkey, Keys: keys.signer,
		Anchor: ledger.FileAnchor(c.Anchor), Evidence: ledger.FileEvidence(o.Dir.ForkEvidence()),
		Vault:       vault.Open(o.Dir.SealKeys()),
		AcceptClock: o.AcceptClock, Dev: o.Dev, Logger: r.log, QueueBytes: c.Limits.QueueBytes, Workers: c.Limits.Workers,
		Software: "daybookd " + version(), Metrics: metrics, VerifyPeriod: *c.Verification.Period,
		Disk: r.store.Room, DiskLowBytes: c.Limits.DiskLowBytes, ReadClock: readClock,
	})
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	r.Origin, r.VKey = r.ledger.Origin(), r.ledger.VKey()
	if err := keys.settle(r.VKey); err != nil {
		return err
	}
	witnesses, err := r.openWitnesses(c, policy)
	if err != nil {
		return err
	}
	tokens, err := openTokens(c)
	if err != nil {
		return err
	}
	r.server, err = server.Listen(server.Options{
		Tokens: tokens, Record: r.ledger.Record, Witnesses: witnesses, Spool: o.Dir.Exports(),
		Log: r.ledger, Config: c, Trust: ids.trusted.trust, Trusts: ids.trusted.listeners, Certificates: ids.listeners,
		Metrics: metrics, Version: version(), Logger: r.log, Ballast: r.ballast.Held,
	})
	if err != nil {
		return err
	}
	r.Addresses = r.server.Addresses()
	return nil
}

// close closes what was opened but never run.
func (r *runningServer) close() error {
	if r.server != nil {
		r.server.Close()
	}
	if r.store != nil {
		return r.store.Close()
	}
	return nil
}

// run serves until ctx ends: first the listeners answer what was accepted, then
// the ledger finishes and saves its anchor, then the store is closed.
func (r *runningServer) run(ctx context.Context) error {
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	sequencing, stopSequencing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSequencing()

	var keeping sync.WaitGroup
	keeping.Go(func() { r.keepBallast(sequencing) })
	keeping.Go(func() { r.keep(sequencing) })
	sequenced := make(chan error, 1)
	go func() {
		err := r.ledger.Run(sequencing)
		stopServing() // without a ledger there is nothing to serve
		sequenced <- err
	}()
	ready, reason := r.ledger.Ready()
	r.log.Info("serving", "origin", r.Origin, "DEMO", isDemo([]byte(r.Origin)), "size", r.ledger.Head().Size, "ready", ready, "reason", reason,
		"ingest", r.Addresses.Ingest, "query", r.Addresses.Query, "query_http", r.Addresses.QueryHTTP)
	err := r.server.Run(serving)
	stopSequencing()
	keeping.Wait()
	err = errors.Join(err, <-sequenced, r.store.Close())
	r.log.Info("stopped", "size", r.ledger.Head().Size)
	return err
}

// Done is closed once the server has ended and the directory is free.
func (r *runningServer) Done() <-chan struct{} { return r.done }

// Wait waits for the end and says why it came; nil after an orderly one.
func (r *runningServer) Wait() error {
	<-r.done
	return r.err
}
