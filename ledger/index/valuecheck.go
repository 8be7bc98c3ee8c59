package index

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/daybook-ledger/daybook/ledger/store"
)

// A valueCheck looks the values of chunks up in the dictionary, chunk by chunk:
// in the order of their keys, for a lookup on its own costs some microseconds.
type valueCheck struct {
	x      *Index
	from   uint64 // chunks [from, to) have their rows of the dictionary counted
	to     uint64
	listed uint64 // rows counted
	known  known  // values that an earlier chunk had; without lines: nothing is remembered
	seed   maphash.Seed

	keys [][]byte // to look up
	room []byte   // of the keys
}

// maxPassed is how many rows in a row are passed over before the next value is
// sought.
const maxPassed = 32

// add adds a value that the chunk has.
func (k *valueCheck) add(slot int, v []byte) {
	from := len(k.room)
	k.room = appendValueKey(k.room, textFields[slot], v)
	key := k.room[from:len(k.room):len(k.room)]
	if k.known.lines != nil {
		if sum := maphash.Bytes(k.seed, key); k.known.add(sum, sum) {
			k.room = k.room[:from]
			return
		}
	}
	k.keys = append(k.keys, key)
}

// look looks up what was added for a chunk, which comes after those before.
func (k *valueCheck) look(chunk uint64) error {
	slices.SortFunc(k.keys, bytes.Compare)
	keys := slices.CompactFunc(k.keys, bytes.Equal) // one key may stand for several values
	k.keys, k.room = k.keys[:0], k.room[:0]
	for len(keys) > 0 {
		done, err := k.scan(keys, chunk)
		if err != nil {
			return err
		}
		keys = keys[done:]
	}
	return nil
}

// scan looks up the first of the keys, and those after it that are near.
func (k *valueCheck) scan(keys [][]byte, chunk uint64) (done int, err error) {
	passed := 0
	end := append(slices.Clip(keys[len(keys)-1]), 0)
	err = k.x.engine.Scan(keys[0], end, func(key, row []byte) error {
		if order := bytes.Compare(key, keys[done]); order != 0 {
			if passed++; order > 0 || passed > maxPassed {
				return store.ErrStop
			}
			return nil
		}
		if len(row) != 8 || binary.BigEndian.Uint64(row) > chunk {
			return fmt.Errorf("%w: value %x is in chunk %d, the dictionary says %x", ErrDamaged, key[dictionaryHead-1:], chunk, row)
		}
		if binary.BigEndian.Uint64(row) == chunk && chunk >= k.from && chunk < k.to {
			k.listed++
		}
		passed, done = 0, done+1
		if done == len(keys) {
			return store.ErrStop
		}
		return nil
	})
	if err == nil && done < len(keys) && passed <= maxPassed {
		err = fmt.Errorf("%w: value %x of chunk %d is not in the dictionary", ErrDamaged, keys[done][dictionaryHead-1:], chunk)
	}
	return done, err
}
