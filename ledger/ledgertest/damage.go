package ledgertest

import (
	"sync"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// Damage is a store that reads other values under some keys than were written,
// as a faulty disk or an adversary's hand would have it. Safe for concurrent use.
type Damage struct {
	store.Engine

	mu      sync.Mutex
	changes map[string]func([]byte) []byte // by key; guarded by mu
}

// Alter has reads of key pass their value through change, which owns the bytes
// it is given. Where it returns nil the key is not there.
func (d *Damage) Alter(key []byte, change func(value []byte) []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changes == nil {
		d.changes = map[string]func([]byte) []byte{}
	}
	d.changes[string(key)] = change
}

// Repair undoes every alteration.
func (d *Damage) Repair() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changes = nil
}

// Flip returns a change that flips one bit of byte i, counted from the end where
// it is negative.
func Flip(i int) func([]byte) []byte {
	return func(value []byte) []byte {
		at := i
		if at < 0 {
			at += len(value)
		}
		value[at] ^= 0x10
		return value
	}
}

// Gone is the change that removes a key.
func Gone([]byte) []byte { return nil }

func (d *Damage) pass(key, value []byte) []byte {
	d.mu.Lock()
	change := d.changes[string(key)]
	d.mu.Unlock()
	if change == nil {
		return value
	}
	return change(append([]byte(nil), value...))
}

// Get implements store.Engine.
func (d *Damage) Get(key []byte) ([]byte, error) {
	value, err := d.Engine.Get(key)
	if err != nil {
		return nil, err
	}
	if value = d.pass(key, value); value == nil {
		return nil, store.ErrNotFound
	}
	return value, nil
}

// Scan implements store.Engine.
func (d *Damage) Scan(lo, hi []byte, fn func(key, value []byte) error) error {
	return d.Engine.Scan(lo, hi, d.through(fn))
}

// ScanReverse implements store.Engine.
func (d *Damage) ScanReverse(lo, hi []byte, fn func(key, value []byte) error) error {
	return d.Engine.ScanReverse(lo, hi, d.through(fn))
}

func (d *Damage) through(fn func(key, value []byte) error) func(key, value []byte) error {
	return func(key, value []byte) error {
		if value = d.pass(key, value); value == nil {
			return nil
		}
		return fn(key, value)
	}
}
