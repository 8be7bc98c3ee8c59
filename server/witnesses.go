package server

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/witness"
)

const (
	// maxWitnessWait bounds WaitWitnessed: below the usual deadline of a call.
	maxWitnessWait = 50 * time.Second
	// witnessSlack is what is left of a call's deadline for the answer.
	witnessSlack = 500 * time.Millisecond
)

// errNotWitnessed: the quorum has not cosigned it yet.
var errNotWitnessed = errors.New("the quorum of witnesses has not cosigned that yet: ask again; `daybookd status` says how each witness stands")

// query makes the QueryService.
func (s *Server) query() *query {
	q := &query{log: s.o.Log, stopping: s.stopping}
	if s.o.Witnesses != nil {
		q.policy = s.o.Witnesses.Policy()
	}
	return q
}

// policyText is a policy that accepts this log.
func (s *query) policyText() string {
	if s.policy != nil {
		return s.policy.Text(s.log.Keys())
	}
	return s.log.Keys().Policy()
}

// witnessed returns the newest witnessed checkpoint. size is what else was asked
// for.
func (s *query) witnessed(size uint64) (ledger.Archived, error) {
	if size != 0 {
		return ledger.Archived{}, badRequest("size: with witnessed it must be 0")
	}
	w, err := s.log.Witnessed()
	if errors.Is(err, ledger.ErrNotFound) {
		err = errNotWitnessed
	}
	return w, err
}

// cosignatures says who cosigned a note.
func (s *query) cosignatures(note []byte) []*apiv1.Cosignature {
	if s.policy == nil {
		return nil
	}
	by, err := s.policy.Cosigned(note)
	if err != nil {
		return nil // of a policy before this one: the note says itself who signed it
	}
	var out []*apiv1.Cosignature
	for _, c := range by {
		out = append(out, &apiv1.Cosignature{Witness: c.Witness, Key: c.Name, Time: timestamppb.New(time.Unix(c.Unix, 0))})
	}
	return out
}

// WaitWitnessed implements QueryService.
func (s *query) WaitWitnessed(ctx context.Context, r *apiv1.WaitWitnessedRequest) (*apiv1.WaitWitnessedResponse, error) {
	wait := maxWitnessWait
	if r.GetWait() != nil {
		if err := r.GetWait().CheckValid(); err != nil || r.GetWait().AsDuration() < 0 {
			return nil, badRequest("wait: must not be negative")
		}
		wait = min(wait, r.GetWait().AsDuration())
	}
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end)-witnessSlack)
	}
	a, err := s.waitWitnessed(ctx, r.GetIndex(), wait)
	if err != nil {
		return nil, err
	}
	return &apiv1.WaitWitnessedResponse{Checkpoint: a.Note, Size: a.Size, Cosignatures: s.cosignatures(a.Note)}, nil
}

// waitWitnessed waits in steps, so that a server that stops is not held up.
func (s *query) waitWitnessed(ctx context.Context, index uint64, wait time.Duration) (ledger.Archived, error) {
	for end := time.Now().Add(wait); ; {
		step, cancel := context.WithTimeoutCause(ctx, max(0, min(time.Until(end), time.Second)), errNotWitnessed)
		a, err := s.log.WaitWitnessed(step, index)
		cancel()
		if !errors.Is(err, errNotWitnessed) || !time.Now().Before(end) {
			return a, err
		}
		select {
		case <-s.stopping:
			return ledger.Archived{}, errStopping
		default:
		}
	}
}

// witnessed says how the witnesses stand; nil: there are none.
func (s *admin) witnessed(size uint64) *apiv1.Witnesses {
	if s.witnesses == nil {
		return nil
	}
	out := &apiv1.Witnesses{Awaited: s.log.Awaits()}
	if w, err := s.log.Witnessed(); err == nil {
		out.WitnessedSize = w.Size
	}
	out.Lag = size - min(size, out.WitnessedSize)
	for _, w := range s.witnesses.Status() {
		one := &apiv1.Witness{Name: w.Name, Key: w.Key, Url: w.URL, Size: w.Size, Lag: size - min(size, w.Size), Failures: w.Failures,
			Error: w.Error, Contradicts: w.Contradicts, ClaimedSize: w.Claim}
		if !w.Time.IsZero() {
			one.Time = timestamppb.New(w.Time)
		}
		if w.Error != "" {
			one.ErrorTime = timestamppb.New(w.ErrorAt)
		}
		out.Witnesses = append(out.Witnesses, one)
	}
	return out
}

// A witnessCollector reads how the witnesses stand when scraped.
type witnessCollector struct {
	log                                        *ledger.Ledger
	witnesses                                  *witness.Witnesses
	witnessed, size, lag, failures, contradict *prometheus.Desc
}

// watchWitnesses registers the metrics of the witnesses, where there are any.
func (m *Metrics) watchWitnesses(log *ledger.Ledger, w *witness.Witnesses) {
	if w == nil {
		return
	}
	one := []string{"witness"}
	m.Register(&witnessCollector{
		log: log, witnesses: w,
		witnessed:  prometheus.NewDesc("daybook_witnessed_size", "Entries that the quorum of witnesses has cosigned.", nil, nil),
		size:       prometheus.NewDesc("daybook_witness_size", "Newest size that a witness cosigned since the start.", one, nil),
		lag:        prometheus.NewDesc("daybook_witness_lag_entries", "Entries that a witness has not cosigned.", one, nil),
		failures:   prometheus.NewDesc("daybook_witness_failures_total", "Requests that a witness did not answer with a cosignature.", one, nil),
		contradict: prometheus.NewDesc("daybook_witness_contradicts", "1 while a witness claims to know another history of the log.", one, nil),
	})
}

// Describe implements prometheus.Collector.
func (c *witnessCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.witnessed, c.size, c.lag, c.failures, c.contradict} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *witnessCollector) Collect(out chan<- prometheus.Metric) {
	size := c.log.Head().Size
	quorum := uint64(0)
	if w, err := c.log.Witnessed(); err == nil {
		quorum = w.Size
	}
	out <- prometheus.MustNewConstMetric(c.witnessed, prometheus.GaugeValue, float64(quorum))
	for _, w := range c.witnesses.Status() {
		out <- prometheus.MustNewConstMetric(c.size, prometheus.GaugeValue, float64(w.Size), w.Name)
		out <- prometheus.MustNewConstMetric(c.lag, prometheus.GaugeValue, float64(size-min(size, w.Size)), w.Name)
		out <- prometheus.MustNewConstMetric(c.failures, prometheus.CounterValue, float64(w.Failures), w.Name)
		out <- prometheus.MustNewConstMetric(c.contradict, prometheus.GaugeValue, truth(w.Contradicts), w.Name)
	}
}
