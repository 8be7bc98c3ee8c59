package ledger

import (
	"encoding/binary"
	"time"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/verify"
)

// keepOpenings encrypts an item's openings for the commit that holds its entry:
// a crash leaves both or neither. In clear they are nowhere but in memory.
func (q *sequencer) keepOpenings(place *verify.EntryHead, a *admitted) {
	for _, o := range a.openings {
		key := binary.BigEndian.AppendUint32(store.Openings.Key(place.Index), o.Field)
		month := time.Unix(0, q.cohort.time).UTC().Format("2006-01")
		plain := append(append([]byte(nil), o.Salt...), o.Value...)
		sealed, err := q.l.vault.Seal(string(a.event.RetentionClass), month, plain, key)
		if err != nil {
			q.cohort.fault = err
			return
		}
		q.cohort.sealed = append(q.cohort.sealed, sealedOpening{key, sealed})
	}
}
