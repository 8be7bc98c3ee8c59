package server

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// maxPeriods is how many periods an answer may have.
const maxPeriods = 1000

// CountPair implements QueryService.
func (s *query) CountPair(ctx context.Context, r *apiv1.CountPairRequest) (*apiv1.CountPairResponse, error) {
	for _, id := range []struct{ name, value string }{{"source", r.GetSource()}, {"target", r.GetTarget()}} {
		if id.value == "" || len(id.value) > verify.MaxDomain {
			return nil, badRequest("%s: a domain id has 1 to %d bytes", id.name, verify.MaxDomain)
		}
	}
	from, ok := nanoseconds(r.GetLoggedFrom())
	if !ok {
		return nil, badRequest("logged_from: is no time between the years 1678 and 2262")
	}
	until, ok := nanoseconds(r.GetLoggedUntil())
	if !ok {
		return nil, badRequest("logged_until: is no time between the years 1678 and 2262")
	}
	if until != 0 && from >= until {
		return nil, badRequest("logged_until: is not after logged_from")
	}
	if !scopeOf(ctx).Touches(r.GetSource(), r.GetTarget()) {
		return nil, errLimited("the pair is not yours to see")
	}
	counts, err := s.log.PairCounts(ctx, r.GetSource(), r.GetTarget(), from, until, maxPeriods)
	if errors.Is(err, ledger.ErrManyPeriods) {
		return nil, &requestError{codes.InvalidArgument, ReasonTooBroad, "logged_from: over 1,000 closes lie in that time: ask for less of it"}
	}
	if err != nil {
		return nil, err
	}
	answer := &apiv1.CountPairResponse{TreeSize: counts.Size, Days: make([]*apiv1.PairDay, len(counts.Periods))}
	for i := range counts.Periods {
		answer.Days[i] = pairDay(&counts.Periods[i])
	}
	return answer, nil
}

func pairDay(p *ledger.PairPeriod) *apiv1.PairDay {
	d := &apiv1.PairDay{CloseIndex: p.Close, PreviousCloseIndex: p.Previous, PeriodStart: timestamppb.New(time.Unix(0, p.Start)), Count: p.Counts.Sum()}
	if p.Close != 0 {
		d.PeriodEnd = timestamppb.New(time.Unix(0, p.End))
	}
	for side := range p.Counts {
		for late, n := range p.Counts[side] {
			if n != 0 {
				d.Streams = append(d.Streams, &apiv1.PairStream{Side: daybookv1.Side(side), Late: late == 1, Count: n})
			}
		}
	}
	return d
}
