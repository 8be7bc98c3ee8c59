package server

import (
	"testing"
	"time"
)

// TestMissedScansSmall counts, for every small world, the periods that have
// ended one by one.
func TestMissedScansSmall(t *testing.T) {
	for every := int64(1); every <= 4; every++ {
		for grace := int64(0); grace <= 5; grace++ {
			for now := int64(100); now <= 140; now++ {
				got, due := missedScans(100, now, time.Duration(every), time.Duration(grace))
				want := 0
				for end := 100 + every; end+grace <= now; end += every {
					want++
				}
				if want > maxMissed {
					if len(got) != 1 || got[0].start != 100 || got[0].end != 100+int64(want)*every {
						t.Fatalf("every %d, grace %d, now %d: %v, want one for %d", every, grace, now, got, want)
					}
				} else if len(got) != want {
					t.Fatalf("every %d, grace %d, now %d: %v, want %d", every, grace, now, got, want)
				}
				at := int64(100)
				for _, p := range got {
					if p.start != at {
						t.Fatalf("every %d, grace %d, now %d: %v have a hole", every, grace, now, got)
					}
					at = p.end
				}
				if due != at+every+grace || due <= now {
					t.Fatalf("every %d, grace %d, now %d: next due at %d", every, grace, now, due)
				}
			}
		}
	}
	if got, _ := missedScans(200, 100, 1, 1); got != nil {
		t.Errorf("a scan in the future misses %v", got)
	}
}
