package detect_test

import (
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains/detect"
)

// fullState returns the rows of a state with some in every table.
func fullState(t testing.TB) rows {
	w := newWorld(t)
	w.origin(daybookv1.Kind_KIND_ORIGIN_OPENED)
	w.force(expecting(map[string]int64{"a": 10}))
	w.force(firm())
	a := w.approve(&daybookv1.Approval{Id: "g1", Subject: 1, Name: "alice", From: "web", To: "db", Approver: "cco"})
	w.now += second
	w.access(report{from: "web", to: "db", operation: "read", correlates: "c", side: source, credential: 3, key: 4, source: "ptp", offset: second})
	for _, names := range [][2]string{{"test", "x"}, {"test", "db"}, {"web", "test"}} {
		w.access(report{from: names[0], to: names[1]})
	}
	w.revoke(a, "web", "db")
	w.now += second
	w.access(report{from: "web", to: "db", operation: "admin", actor: "alice"})
	m := firm()
	m.Domains[0].Producers = []*daybookv1.ExpectedProducer{{Id: "spiffe://db/a", SilenceLimitNs: 1e9}}
	w.force(m)
	w.access(report{from: "web", to: "test"})
	w.close()
	all := rows{}
	if err := w.d.All(func(k, v []byte) error { return all.Set(k, v) }); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestFullState: the state that the fuzzer starts from has rows of every table.
func TestFullState(t *testing.T) {
	tables := map[byte]bool{}
	for k := range fullState(t) {
		tables[k[0]] = true
	}
	if len(tables) != 13 {
		t.Errorf("rows of %d tables: %v", len(tables), tables)
	}
}

// FuzzLoad: whatever a row is, loading it does not panic, and what is loaded is
// given back byte for byte.
func FuzzLoad(f *testing.F) {
	for k, v := range fullState(f) {
		f.Add([]byte(k), []byte(v))
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		d := detect.New()
		if d.Load(key, value) != nil {
			return
		}
		same := false
		if err := d.All(func(k, v []byte) error {
			same = same || string(k) == string(key) && string(v) == string(value)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !same {
			t.Errorf("row %x is loaded as another", key)
		}
		_ = d.Loaded(nil)
	})
}
