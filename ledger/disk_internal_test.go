package ledger

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"
)

func TestLowMark(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, c := range []struct {
		configured  int64
		total, want uint64
		dev         bool
	}{
		{0, 1000 * gib, 2 * gib, false},
		{0, 20 * gib, gib, false},
		{0, 2 * gib, 256 * mib, false},
		{0, 400 * mib, 100 * mib, false},
		{0, 1000 * gib, 64 * mib, true},
		{0, 100 * mib, 5 * mib, true},
		{12345, 1000 * gib, 12345, false},
		{12345, 1000 * gib, 12345, true},
		{-1, 1000 * gib, 0, false},
	} {
		if got := lowMark(c.configured, c.total, c.dev); got != c.want {
			t.Errorf("mark %d of %d bytes, dev %v: %d, want %d", c.configured, c.total, c.dev, got, c.want)
		}
	}
}

// room is a disk of the test's own.
type room struct {
	free, total uint64
	err         error
	looked      int
}

func (r *room) measure() (uint64, uint64, error) {
	r.looked++
	return r.free, r.total, r.err
}

func (r *room) disk(mark int64) *disk {
	d := &disk{measure: r.measure, mark: mark, log: slog.New(slog.DiscardHandler)}
	d.look()
	return d
}

func TestDiskStopsBelowTheMarkAndGoesOnAboveIt(t *testing.T) {
	r := &room{free: 1000, total: 10000}
	d := r.disk(800)
	for _, step := range []struct {
		free     uint64
		low, own bool // refused
	}{
		{800, false, false}, {799, true, false}, {801, true, false}, {999, true, false}, {1000, false, false},
		{801, false, false}, {100, true, false}, {99, true, true}, {0, true, true}, {900, true, false}, {5000, false, false},
	} {
		r.free = step.free
		d.look()
		low, own := d.refusal(false) != nil, d.refusal(true) != nil
		if low != step.low || own != step.own {
			t.Errorf("%d bytes free: appends refused %v, the ledger's own %v; want %v, %v", step.free, low, own, step.low, step.own)
		}
	}
	r.free = 10
	d.look()
	var full *DiskLowError
	if err := d.refusal(false); !errors.As(err, &full) || full.Free != 10 || full.Mark != 800 || full.RetryAfter <= 0 {
		t.Errorf("refused with %+v", err)
	}
}

func TestDiskThatCannotBeMeasuredIsNotLow(t *testing.T) {
	r := &room{err: errors.New("no such call")}
	d := r.disk(0)
	for range 1000 {
		d.wrote(1000)
	}
	if err := d.refusal(false); err != nil {
		t.Error(err)
	}
	if r.looked != 1 {
		t.Errorf("asked %d times for what is not known", r.looked)
	}
	if err := (&disk{}).refusal(false); err != nil {
		t.Error(err)
	}
}

// TestBurstNeverPassesTheMarkUnseen: between two measurements by the clock, what
// is written is measured often enough that the mark is passed by one write at
// most.
func TestBurstNeverPassesTheMarkUnseen(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r := &room{free: 1<<20 + rng.Uint64N(1<<32), total: 1 << 36}
		const mark = 1 << 20
		d := r.disk(mark)
		for {
			if d.refusal(false) != nil {
				break
			}
			if r.free < mark {
				t.Fatalf("seed %d: %d bytes are free and appends go on", seed, r.free)
			}
			n := rng.Uint64N(4 << 20)
			took := n * (1 + rng.Uint64N(writeFactor))
			r.free -= min(took, r.free)
			d.wrote(int(n))
		}
		if r.free+4<<20*writeFactor < mark {
			t.Errorf("seed %d: %d bytes are left", seed, r.free)
		}
	}
}

func TestRetryHintFollowsTheMeasuredRate(t *testing.T) {
	now := time.Duration(0)
	d := drain{mono: func() time.Duration { return now }}
	if got := d.hint(1 << 20); got != retryAfter {
		t.Errorf("before anything was measured: %v", got)
	}
	d.wakes()
	for range 500 { // 100 MB a second
		now += 10 * time.Millisecond
		d.took(1e6)
	}
	if got := d.hint(100e6); got < 450*time.Millisecond || got > 550*time.Millisecond {
		t.Errorf("half of 100 MB at 100 MB/s: wait %v", got)
	}
	now += time.Hour // nothing waits
	d.wakes()
	if got := d.hint(100e6); got < 450*time.Millisecond || got > 550*time.Millisecond {
		t.Errorf("idle time was counted: wait %v", got)
	}
	if got := d.hint(1); got != minRetry {
		t.Errorf("nearly nothing waits: %v", got)
	}
	now += time.Minute // the disk stalls
	if got := d.hint(100e6); got != maxRetry {
		t.Errorf("nothing leaves: wait %v", got)
	}
}
