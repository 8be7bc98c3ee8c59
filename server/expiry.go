package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	// expiryEvery is how often certificates are looked at.
	expiryEvery = time.Minute
	// expirySubjects bounds the producers whose certificates are watched.
	expirySubjects = 4096
	day            = 24 * time.Hour
)

// expirySteps are how long before its end a certificate raises an alert. A step
// over a third of the certificate's whole life is left out: it is made to be short.
var expirySteps = []time.Duration{30 * day, 7 * day, day, 0}

// expiry watches the ends of certificates: of the producers seen since the start,
// as each connected last, of the listeners, and of the CAs. Safe for concurrent
// use.
type expiry struct {
	raise func(*daybookv1.Alert)
	now   func() time.Time
	desc  *prometheus.Desc
	fresh chan struct{} // holds one where a certificate was noted since the last look

	mu       sync.Mutex
	subjects map[expirySubject]*expiryState // guarded by mu
	peers    int                            // of them; guarded by mu
	before   map[verify.Hash]bool           // alerts of earlier openings; guarded by mu
}

// An expirySubject has a certificate: kind is producer, listener or ca.
type expirySubject struct{ kind, name string }

type expiryState struct {
	identity.Validity
	raised time.Duration // the newest step that was raised for it; -1: none
}

func newExpiry(now func() time.Time, raise func(*daybookv1.Alert)) *expiry {
	return &expiry{raise: raise, now: now, fresh: make(chan struct{}, 1), subjects: map[expirySubject]*expiryState{},
		desc: prometheus.NewDesc("daybook_certificate_expiry_seconds",
			"Seconds until a certificate ends, by kind: producer (as it connected last), listener, ca.", []string{"kind", "subject"}, nil)}
}

// peer notes the certificate of a peer that was accepted.
func (e *expiry) peer(p identity.Peer) { e.set("producer", p.ID, p.Validity) }

// set notes how long a certificate is valid.
func (e *expiry) set(kind, name string, valid identity.Validity) {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := expirySubject{kind, name}
	if state := e.subjects[key]; state != nil {
		if !state.NotAfter.Equal(valid.NotAfter) {
			*state = expiryState{valid, -1}
			e.noted()
		}
		return
	}
	if kind == "producer" {
		if e.peers >= expirySubjects {
			return
		}
		e.peers++
	}
	e.subjects[key] = &expiryState{valid, -1}
	e.noted()
}

// noted has the certificates looked at soon.
func (e *expiry) noted() {
	select {
	case e.fresh <- struct{}{}:
	default:
	}
}

// replace notes all certificates of one kind.
func (e *expiry) replace(kind string, all map[string]identity.Validity) {
	for name, valid := range all {
		e.set(kind, name, valid)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for key := range e.subjects {
		if _, there := all[key.name]; key.kind == kind && !there {
			delete(e.subjects, key)
		}
	}
}

// run looks until ctx ends.
func (e *expiry) run(ctx context.Context) {
	tick := time.NewTicker(expiryEvery)
	defer tick.Stop()
	for {
		e.look()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-e.fresh:
		}
	}
}

// recall takes over the alerts that are in the log, so that a restart raises none
// again.
func (e *expiry) recall(before map[verify.Hash]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.before = before
}

// look raises the alerts that are due: one for each certificate and step.
func (e *expiry) look() {
	now := e.now()
	var due []*daybookv1.Alert
	e.mu.Lock()
	for key, state := range e.subjects {
		for i, step := range expirySteps[:len(expirySteps)-1] {
			begins, ends := state.NotAfter.Add(-step), state.NotAfter.Add(-expirySteps[i+1])
			long := state.NotAfter.Sub(state.NotBefore) >= 3*step
			if !long || now.Before(begins) || !now.Before(ends) || state.raised == step {
				continue
			}
			state.raised = step
			a := expiryAlert(key, state.NotAfter, begins, ends)
			if !e.before[verify.AlertID(uint32(a.Type), a.Subject, a.PeriodStartNs, a.PeriodEndNs)] {
				due = append(due, a)
			}
		}
	}
	e.mu.Unlock()
	for _, alert := range due {
		e.raise(alert)
	}
}

// expiryAlert says that a certificate nears its end. The period is the one between
// two steps, so that the id is the certificate's and the step's own.
func expiryAlert(key expirySubject, notAfter, begins, ends time.Time) *daybookv1.Alert {
	a := &daybookv1.Alert{Type: daybookv1.AlertType_ALERT_TYPE_EXPIRY, Subject: key.kind + " " + key.name,
		PeriodStartNs: begins.UnixNano(), PeriodEndNs: ends.UnixNano(),
		Detail: fmt.Sprintf("its certificate ends at %s", notAfter.UTC().Format(time.RFC3339))}
	if key.kind == "producer" {
		a.Subject, a.Producer = key.name, key.name
		a.Detail += ": renew it, by `daybookd identity renew --data DIR --id " + key.name + "` or by its own issuer"
	}
	return a
}

// Describe implements prometheus.Collector.
func (e *expiry) Describe(c chan<- *prometheus.Desc) { c <- e.desc }

// Collect implements prometheus.Collector.
func (e *expiry) Collect(c chan<- prometheus.Metric) {
	now := e.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for key, state := range e.subjects {
		c <- prometheus.MustNewConstMetric(e.desc, prometheus.GaugeValue, state.NotAfter.Sub(now).Seconds(), key.kind, key.name)
	}
}
