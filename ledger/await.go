package ledger

import (
	"context"
	"fmt"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// awaitReason is why a log is shut that asks its witnesses first.
const awaitReason = "it waits until the quorum of its witnesses has confirmed that this is its newest copy"

// await shuts the log until its witnesses answered, where it is open and has any.
// Its head stays signed, so that they can be asked: every copy of the log that
// holds these entries signs that checkpoint alike, and a copy that is behind the
// log signs nothing that the log has not.
func (l *Ledger) await(want bool) {
	policy := l.archive.policy
	l.mu.Lock()
	defer l.mu.Unlock()
	if !want || policy == nil || !policy.NeedsQuorum() || l.shut != "" {
		return
	}
	l.shut, l.awaits = awaitReason, true
	l.log.Info("the log opens shut until its witnesses have answered", "size", l.Head().Size)
}

// Awaits tells whether the log is shut for no other reason than that it waits for
// its witnesses.
func (l *Ledger) Awaits() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.awaits
}

// Shut says why the log is shut; empty: it is open.
func (l *Ledger) Shut() string { return l.shutReason() }

// OpenUp has a log that awaits its witnesses take appends without their quorum,
// and leaves an entry with the reason. It does nothing to a log that is open, or
// shut for another reason.
func (l *Ledger) OpenUp(reason string) {
	if l.opens(reason) {
		l.log.Warn("the log opened without the quorum of its witnesses", "reason", reason)
	}
}

// confirmed opens a log that awaits its witnesses once the quorum cosigned its own
// size.
func (l *Ledger) confirmed(size uint64, by []verify.Cosigned) {
	if size < l.Head().Size || !l.Awaits() {
		return
	}
	var names []string
	for _, w := range by {
		names = append(names, w.Witness)
	}
	l.opens(fmt.Sprintf("the quorum of witnesses confirmed %d entries at the start, last %s", size, strings.Join(names, ", ")))
}

// opens ends the waiting, once, and has Run write what it left for then.
func (l *Ledger) opens(detail string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.awaits {
		return false
	}
	l.shut, l.awaits = "", false
	l.opened = append(l.opened, activity(daybookv1.ActivityType_ACTIVITY_TYPE_WITNESSED, detail))
	close(l.openUp)
	return true
}

// enqueueOpened appends what the opening has to say.
func (l *Ledger) enqueueOpened() {
	l.mu.Lock()
	list := l.opened
	l.opened = nil
	l.mu.Unlock()
	for _, e := range list {
		l.enqueueOwn(e)
	}
}

// enqueueWhenOpen does so once the log opens up; where it never does nothing is
// said.
func (l *Ledger) enqueueWhenOpen(ctx context.Context) {
	select {
	case <-l.openUp:
		l.enqueueOpened()
	case <-ctx.Done():
	}
}
