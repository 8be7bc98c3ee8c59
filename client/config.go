package client

import (
	"errors"
	"fmt"
	"net"
	"time"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Config says where the log is, who the client is, and how patient it is.
type Config struct {
	// Ingest is the host:port of the ingest listener; needed to append.
	Ingest string
	// Query is the host:port of the query listener; needed to read, and to ask
	// for consistency between the opening and the end of a run.
	Query string
	// Addresses is the path of the server's addresses file. Where it is set, an
	// empty Ingest or Query is read from it at each connection, so that a server
	// that comes back on another port is found again.
	Addresses string
	// CA is the path of the PEM bundle the server's certificate is checked with.
	CA string
	// Certificate is the path of the client's PEM chain, leaf first; its URI is
	// the producer's name.
	Certificate string
	// Key is the path of the client's PEM private key: PKCS #8, Ed25519 or
	// ECDSA P-256. It also signs heartbeats and the end of a run.
	Key string
	// Pair returns certificate chain and key, both PEM, in place of what is in the
	// files Certificate and Key, which it is read from. nil: the files hold them.
	Pair func() (certificate, key []byte, err error)
	// Token returns the bearer token of the person on whose behalf the log is asked,
	// for each call on query; the log then knows the caller by it, not by the
	// certificate. It is called from several goroutines. nil: no token is sent.
	Token func() (string, error)
	// VKey is the log's verifier key.
	VKey string
	// State is the directory of the newest checkpoint; made where it is missing.
	// Empty: nothing is remembered beyond the process.
	State string
	// Patience is how long calls are retried without progress; 0: 120 s.
	Patience time.Duration
	// ProveEvery is how often the log is asked to prove consistency while
	// receipts come in; 0: once a second; negative: only at open, resume and end.
	ProveEvery time.Duration
	// CheckEvery: one append in so many is checked whole, the others not at all
	// and their receipts say so; 0 and 1: every one. For load generators.
	CheckEvery int
	// Connections is the number of ingest connections that runs are spread over;
	// 0: 1; at most 1,024.
	Connections int
	// SilenceLimit is what RunOptions.SilenceLimit defaults to; 0: none.
	SilenceLimit time.Duration
	// HeartbeatEvery is what RunOptions.HeartbeatEvery defaults to; 0: a third of
	// the run's silence limit, or, where it has none, five minutes while numbers
	// are not covered by a heartbeat; negative: never. A backfill sends none.
	HeartbeatEvery time.Duration
	// Clock says how well the producer's clock is known; its answer goes into each
	// heartbeat. nil, and an answer of nil: it is not known.
	Clock func() *daybookv1.Clock
	// Software is the name and version written into runs; at most 128 bytes.
	Software string
	// OnIdentity is told each time that Certificate, Key and CA were read again
	// because a file has changed, and why they could not be: then the client stays
	// with what it has. It never becomes another producer. Called from a goroutine
	// that makes a call; it must return soon. nil: nobody is told.
	OnIdentity func(error)
	// OnRetry is told of each failure that is retried, and of the wait before
	// the next attempt. Called from the goroutine that retries; it must return
	// soon. nil: nobody is told.
	OnRetry func(err error, wait time.Duration)
}

// minSilence and maxSilence bound the silence limit of a run.
const (
	minSilence = time.Second
	maxSilence = 31 * 24 * time.Hour
)

// defaultPatience is the time without progress after which a call gives up.
const defaultPatience = 120 * time.Second

// validate reports every fault and fills in the defaults.
func (c *Config) validate() error {
	var faults []error
	missing := func(name, value string) {
		if value == "" {
			faults = append(faults, fmt.Errorf("%s: missing", name))
		}
	}
	missing("ca", c.CA)
	missing("certificate", c.Certificate)
	missing("key", c.Key)
	missing("vkey", c.VKey)
	if c.Ingest == "" && c.Query == "" && c.Addresses == "" {
		faults = append(faults, errors.New("ingest, query: no address is given"))
	}
	for name, address := range map[string]string{"ingest": c.Ingest, "query": c.Query} {
		if address == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
	}
	if c.Connections < 0 || c.Connections > 1024 {
		faults = append(faults, fmt.Errorf("connections: %d is not in 0..1024", c.Connections))
	}
	if len(c.Software) > 128 {
		faults = append(faults, fmt.Errorf("software: %d bytes, at most 128", len(c.Software)))
	}
	if c.SilenceLimit != 0 && (c.SilenceLimit < minSilence || c.SilenceLimit > maxSilence) {
		faults = append(faults, fmt.Errorf("silence_limit: %v is not 1s to 744h", c.SilenceLimit))
	}
	if c.Patience < 0 {
		faults = append(faults, fmt.Errorf("patience: %v is negative", c.Patience))
	}
	if len(faults) > 0 {
		return fmt.Errorf("client configuration: %w", errors.Join(faults...))
	}
	if c.Patience == 0 {
		c.Patience = defaultPatience
	}
	if c.ProveEvery == 0 {
		c.ProveEvery = time.Second
	}
	c.Connections = max(c.Connections, 1)
	c.CheckEvery = max(c.CheckEvery, 1)
	return nil
}
