package client

import (
	"context"
	"errors"
	"fmt"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// CountPair counts the accesses of a pair of domains by the periods of closes;
// see the request. The answer is the server's word, but for its form: the periods
// follow each other, only the last may be open, and the counts of each sum up.
// The counts of a closed period are proven by CloseRow in both its closes.
func (c *Client) CountPair(ctx context.Context, r *apiv1.CountPairRequest) (*apiv1.CountPairResponse, error) {
	a, err := c.queries().CountPair(ctx, r)
	if err != nil {
		return nil, queryError("counting a pair", err)
	}
	if err := checkDays(a.GetDays()); err != nil {
		return nil, fmt.Errorf("the server's counts do not hold: %w", err)
	}
	return a, nil
}

func checkDays(days []*apiv1.PairDay) error {
	for i, d := range days {
		open := d.GetCloseIndex() == 0
		switch {
		case d.GetPeriodStart().CheckValid() != nil || open != (d.GetPeriodEnd() == nil) || !open && d.GetPeriodEnd().CheckValid() != nil:
			return fmt.Errorf("period %d has no times", i)
		case open && i != len(days)-1:
			return errors.New("a period that is open is not the last")
		case !open && (d.GetCloseIndex() <= d.GetPreviousCloseIndex() || !d.GetPeriodEnd().AsTime().After(d.GetPeriodStart().AsTime())):
			return fmt.Errorf("the close at %d does not end its period", d.GetCloseIndex())
		case i > 0 && (d.GetPreviousCloseIndex() != days[i-1].GetCloseIndex() || !d.GetPeriodStart().AsTime().Equal(days[i-1].GetPeriodEnd().AsTime())):
			return fmt.Errorf("the period from %v on does not follow the one before", d.GetPeriodStart().AsTime())
		}
		var sum uint64
		for _, s := range d.GetStreams() {
			if sum += s.GetCount(); sum < s.GetCount() {
				return fmt.Errorf("the counts from %v on overflow", d.GetPeriodStart().AsTime())
			}
		}
		if sum != d.GetCount() {
			return fmt.Errorf("the counts from %v on sum to %d, not %d", d.GetPeriodStart().AsTime(), sum, d.GetCount())
		}
	}
	return nil
}
