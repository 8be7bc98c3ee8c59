package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/frame"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store"
)

// TestFollowerNamesTheFirstBadEntry damages a frame between its commit and the
// follower: within one step the log stops, and says which entry it was.
func TestFollowerNamesTheFirstBadEntry(t *testing.T) {
	for name, damage := range map[string]struct {
		at     uint64 // after the append's first entry
		change func(first, at uint64) func([]byte) []byte
	}{
		"a flipped byte": {0, func(_, _ uint64) func([]byte) []byte { return ledgertest.Flip(60) }},
		"an altered entry": {30, func(first, at uint64) func([]byte) []byte {
			return func(value []byte) []byte {
				entries, err := frame.Decode(value)
				if err != nil || uint64(len(entries)) <= at {
					return value
				}
				entries[at] = append([]byte(nil), entries[at]...)
				entries[at][len(entries[at])-1] ^= 2
				return frame.Encode(nil, entries)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := new(ledgertest.Damage)
			g := create(t, ledgertest.Options{Wrap: func(e store.Engine) store.Engine { d.Engine = e; return d }})
			run, _ := g.Run("followed")
			first := g.L.Head().Size
			d.Alter(store.Growing.Key(first), damage.change(first, damage.at))
			appendQuietly(t, g, ledgertest.Batch(run, 1, 1, 100))
			err := g.Ended()
			var fault *ledger.FaultError
			if !errors.As(err, &fault) || fault.Index != first+damage.at {
				t.Errorf("the log ended with %v, want a fault at %d", err, first+damage.at)
			}
			if ok, reason := g.L.Ready(); ok || !strings.Contains(reason, fmt.Sprintf("index %d", first+damage.at)) {
				t.Errorf("ready %v: %s", ok, reason)
			}
			if err := g.Engine.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
