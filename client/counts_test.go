package client_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// CountPair implements QueryService: with what the test says.
func (l *liar) CountPair(context.Context, *apiv1.CountPairRequest) (*apiv1.CountPairResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts, nil
}

func TestCountsHaveTheirForm(t *testing.T) {
	l := newLiar(t)
	c := l.dial(t, nil)
	at := func(day int) *timestamppb.Timestamp {
		return timestamppb.New(time.Date(2026, 11, day, 0, 0, 0, 0, time.UTC))
	}
	good := &apiv1.CountPairResponse{TreeSize: 100, Days: []*apiv1.PairDay{
		{CloseIndex: 20, PeriodStart: at(1), PeriodEnd: at(2), Count: 5, Streams: []*apiv1.PairStream{{Side: 1, Count: 2}, {Side: 1, Late: true, Count: 3}}},
		{CloseIndex: 40, PreviousCloseIndex: 20, PeriodStart: at(2), PeriodEnd: at(3)},
		{PreviousCloseIndex: 40, PeriodStart: at(3), Count: 1, Streams: []*apiv1.PairStream{{Count: 1}}},
	}}
	answer := func(bend func(a *apiv1.CountPairResponse)) error {
		a := proto.CloneOf(good)
		bend(a)
		l.mu.Lock()
		l.counts = a
		l.mu.Unlock()
		got, err := c.CountPair(t.Context(), &apiv1.CountPairRequest{Source: "a", Target: "b"})
		if err == nil && !proto.Equal(got, a) {
			t.Errorf("got %v, the server said %v", got, a)
		}
		return err
	}
	must(t, answer(func(*apiv1.CountPairResponse) {}))
	must(t, answer(func(a *apiv1.CountPairResponse) { a.Days = a.Days[2:] }))
	must(t, answer(func(a *apiv1.CountPairResponse) { a.Days = nil }))
	for name, lie := range map[string]func(d []*apiv1.PairDay){
		"a sum":              func(d []*apiv1.PairDay) { d[0].Count++ },
		"an overflow":        func(d []*apiv1.PairDay) { d[0].Streams[0].Count, d[0].Count = ^uint64(0), 2 },
		"a day left out":     func(d []*apiv1.PairDay) { d[1].PreviousCloseIndex = 19 },
		"time left out":      func(d []*apiv1.PairDay) { d[1].PeriodStart.Seconds++ },
		"no start":           func(d []*apiv1.PairDay) { d[0].PeriodStart = nil },
		"no end":             func(d []*apiv1.PairDay) { d[1].PeriodEnd = nil },
		"an end to no close": func(d []*apiv1.PairDay) { d[2].PeriodEnd = at(4) },
		"an open middle":     func(d []*apiv1.PairDay) { d[1].CloseIndex, d[1].PeriodEnd = 0, nil },
		"an older close":     func(d []*apiv1.PairDay) { d[0].PreviousCloseIndex = 20 },
		"time backwards":     func(d []*apiv1.PairDay) { d[0].PeriodStart = at(5) },
	} {
		if answer(func(a *apiv1.CountPairResponse) { lie(a.Days) }) == nil {
			t.Errorf("%s was believed", name)
		}
	}
}
