package detect

import "bytes"

// A table is a bounded map whose changes can be saved. Its rows are handed out by
// pointer: whoever changes one touches it.
type table[K comparable, V any] struct {
	name   tableName
	limit  int
	pooled bool // dropped rows are used again: nobody keeps a pointer to one
	rows   map[K]*row[K, V]

	changed []*row[K, V] // since the last save, those dropped since included
	gone    []*row[K, V] // dropped since the last save, and saved before
	free    []*row[K, V]

	encode func(k K, v *V) (key, value []byte)
	decode func(key, value []byte) (K, V, bool)
}

type row[K comparable, V any] struct {
	key   K
	v     V
	dirty bool // it is in changed
	saved bool // the last save, or one before, has it
	dead  bool // it was dropped
}

func (t *table[K, V]) get(k K) *row[K, V] { return t.rows[k] }

// put adds a row that is not there; nil: there is no room.
func (t *table[K, V]) put(k K) *row[K, V] {
	if len(t.rows) >= t.limit {
		return nil
	}
	return t.force(k)
}

// force is put without a limit.
func (t *table[K, V]) force(k K) *row[K, V] {
	var r *row[K, V]
	if n := len(t.free); n > 0 {
		r, t.free = t.free[n-1], t.free[:n-1]
		*r = row[K, V]{key: k}
	} else {
		r = &row[K, V]{key: k}
	}
	t.rows[k] = r
	t.touch(r)
	return r
}

// touch notes that a row changed.
func (t *table[K, V]) touch(r *row[K, V]) {
	if !r.dirty {
		r.dirty = true
		t.changed = append(t.changed, r)
	}
}

func (t *table[K, V]) drop(r *row[K, V]) {
	delete(t.rows, r.key)
	r.dead = true
	switch {
	case r.saved:
		t.gone = append(t.gone, r)
	case !r.dirty && t.pooled:
		t.free = append(t.free, r)
	}
}

func (t *table[K, V]) clear() {
	for _, r := range t.rows {
		t.drop(r)
	}
}

// A saver saves one table.
type saver interface {
	prefix() byte
	save(to Rows) error
	settled()
	all(set func(key, value []byte) error) error
	load(key, value []byte) bool
}

func (t *table[K, V]) prefix() byte { return tablePrefixes[t.name] }

func (t *table[K, V]) rowKey(key []byte) []byte { return append([]byte{t.prefix()}, key...) }

// save gives what changed to a batch: what is gone first, for it may be there
// again.
func (t *table[K, V]) save(to Rows) error {
	for _, r := range t.gone {
		key, _ := t.encode(r.key, &r.v)
		if err := to.Delete(t.rowKey(key)); err != nil {
			return err
		}
	}
	for _, r := range t.changed {
		if r.dead {
			continue
		}
		key, value := t.encode(r.key, &r.v)
		if err := to.Set(t.rowKey(key), value); err != nil {
			return err
		}
	}
	return nil
}

// settled notes that what save gave is kept.
func (t *table[K, V]) settled() {
	for _, r := range t.gone {
		r.saved = false
		if t.pooled && !r.dirty {
			t.free = append(t.free, r)
		}
	}
	for _, r := range t.changed {
		r.dirty, r.saved = false, !r.dead
		if r.dead && t.pooled {
			t.free = append(t.free, r)
		}
	}
	if len(t.free) > maxFree {
		t.free = t.free[:maxFree]
	}
	clear(t.gone)
	clear(t.changed)
	t.gone, t.changed = t.gone[:0], t.changed[:0]
}

// maxFree bounds the dropped rows that are kept for use.
const maxFree = 1 << 14

func (t *table[K, V]) all(set func(key, value []byte) error) error {
	for _, r := range t.rows {
		key, value := t.encode(r.key, &r.v)
		if err := set(t.rowKey(key), value); err != nil {
			return err
		}
	}
	return nil
}

// load takes a row as all gives it: one row has one encoding.
func (t *table[K, V]) load(key, value []byte) bool {
	k, v, ok := t.decode(key, value)
	if !ok || t.rows[k] != nil {
		return false
	}
	if sameKey, same := t.encode(k, &v); !bytes.Equal(sameKey, key) || !bytes.Equal(same, value) {
		return false
	}
	t.rows[k] = &row[K, V]{key: k, v: v, saved: true}
	return true
}
