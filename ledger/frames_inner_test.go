package ledger

import (
	"testing"

	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/store"
)

// oneFrame is an engine that holds one growing frame.
type oneFrame struct {
	store.Engine
	coded []byte
}

func (e oneFrame) Scan(lo, _ []byte, fn func(key, value []byte) error) error {
	if store.Table(lo[0]) != store.Growing {
		return nil
	}
	if err := fn(store.Growing.Key(0), e.coded); err != store.ErrStop {
		return err
	}
	return nil
}

// A scan that is stopped at its first frame has not missed an entry.
func TestScanStopsWithoutAFault(t *testing.T) {
	seen := 0
	err := newFrameCache(oneFrame{coded: frame.Encode(nil, [][]byte{{1}, {2}})}).scan(0, 2, func(uint64, []byte) error {
		seen++
		return store.ErrStop
	})
	if err != nil || seen != 1 {
		t.Errorf("%d entries, then %v", seen, err)
	}
}
