package ledger

import (
	"errors"
	"log/slog"
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains/detect"
)

// TestGiveAgain: what the log owes is given to the sequencer at the start, again
// where it came to nothing, and not once it is in the log.
func TestGiveAgain(t *testing.T) {
	l := &Ledger{queue: newQueue(1 << 20), log: slog.New(slog.DiscardHandler)}
	f := &follower{l: l, replay: newReplay(newState(nil))}
	f.replay.detecting = newDetecting()
	d := f.replay.detecting.detector
	take := func(kind daybookv1.Kind, index uint64, source string, body []byte) {
		t.Helper()
		if err := d.Take(&detect.Entry{Head: &verify.BatchHead{LogTimeNS: verify.Day, Producer: "spiffe://web/app"}, Body: body,
			Event: &verify.EventFields{Credential: make([]byte, 32)}, Place: &verify.EntryHead{Kind: kind, Index: index, Source: source}}); err != nil {
			t.Fatal(err)
		}
	}
	given := func(want int) *work {
		t.Helper()
		works := l.queue.works
		l.queue.works = nil
		if len(works) != want {
			t.Fatalf("%d alerts were given to the sequencer, not %d", len(works), want)
		}
		if want == 0 {
			return nil
		}
		return works[0]
	}
	take(daybookv1.Kind_KIND_ACCESS, 1, "web", nil)
	take(daybookv1.Kind_KIND_ACCESS, 2, "lab", nil)
	given(0) // nobody gives them while the log is opened
	f.startAlerts()
	w := given(1)
	f.giveAgain()
	given(0)
	w.fail(errors.New("the disk is full"))
	l.shut = "a test"
	f.giveAgain()
	given(0)
	l.shut = ""
	f.giveAgain()
	w = given(1)
	body, err := marshal(w.alert)
	if err != nil {
		t.Fatal(err)
	}
	take(daybookv1.Kind_KIND_ALERT, 3, "", body)
	close(w.done)
	f.giveAgain()
	if given(0); len(f.replay.detecting.sent) != 0 {
		t.Errorf("%d are remembered as sent", len(f.replay.detecting.sent))
	}
}
