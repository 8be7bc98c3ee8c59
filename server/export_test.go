package server

import (
	"context"
	"crypto/x509"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"

	"github.com/daybook-ledger/daybook/server/identity"
)

// For the tests of this package, which stand outside of it.
var (
	StatusOf        = statusOf
	FormatPageToken = formatPageToken
	ParsePageToken  = parsePageToken
	NewCodec        = newCodec
)

type PageToken = pageToken

const ForwardedKey = forwardedKey

// ServicesOf returns the services that each gRPC listener offers.
func ServicesOf(s *Server) map[string][]string {
	services := make(map[string][]string)
	for _, l := range s.grpc {
		services[l.name] = slices.Collect(maps.Keys(l.server.GetServiceInfo()))
	}
	return services
}

// ViewOf decodes an entry.
var ViewOf = viewOf

// Journal is the record of what people do, on a clock of the test's.
type Journal struct{ *journal }

func NewJournal(r record, now func() time.Time) *Journal {
	return &Journal{newJournal(r, now, slog.New(slog.DiscardHandler), newPeopleMetrics(prometheus.NewRegistry()))}
}

func (j *Journal) Read(ctx context.Context, a *daybookv1.Activity) error { return j.read(ctx, a) }

func (j *Journal) Settle(ctx context.Context, now time.Time, all bool) { j.settle(ctx, now, all) }

func (j *Journal) Folds() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.folds)
}

// NewConnection returns what a connection asks at each call about its chain.
func NewConnection(t *identity.Trust, chain []*x509.Certificate) func(now time.Time) error {
	c := &connection{trust: t, chain: chain}
	return func(now time.Time) error { _, err := c.peer(now); return err }
}
