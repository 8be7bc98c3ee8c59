package ledger

import (
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// resolve gives an item's domains their ids under a map.
func (a *admitted) resolve(v *domains.Version) {
	a.source, _ = v.Resolve(a.event.SourceDomain)
	a.target, _ = v.Resolve(a.event.TargetDomain)
}

// mayReport notes in w whether the producer may report what it reports under the
// map: it is asked once for each source, target and side in a row.
func (w *work) mayReport(v *domains.Version) {
	w.version, w.mute, w.second = v, nil, false
	if v == nil {
		return
	}
	speaker := v.Speaker(w.producer.ID)
	var last *admitted
	for i := range w.items {
		a := &w.items[i]
		if a.kind != daybookv1.Kind_KIND_ACCESS || last != nil && a.source == last.source && a.target == last.target && a.event.Side == last.event.Side {
			continue
		}
		last = a
		if speaker.May(a.source, a.target, a.event.Side, daybookv1.Provenance_PROVENANCE_FIRST_HAND) == nil {
			continue
		}
		if err := speaker.May(a.source, a.target, a.event.Side, daybookv1.Provenance_PROVENANCE_SECOND_HAND); err != nil {
			w.mute = refuse(a.number, a.body, err)
			return
		}
		w.second = true
	}
}

// speaks refuses what the producer may not report under the map in force. What
// was admitted under another map is resolved and asked again. A repeat never
// comes here: what is in the log stays answered.
func (q *sequencer) speaks(w *work, p daybookv1.Provenance) error {
	if w.version != q.version {
		for i := range w.items {
			if a := &w.items[i]; a.kind == daybookv1.Kind_KIND_ACCESS {
				a.resolve(q.version)
			}
		}
		w.mayReport(q.version)
	}
	if w.mute != nil {
		return w.mute
	}
	if w.second && p == daybookv1.Provenance_PROVENANCE_FIRST_HAND {
		return q.firstHand(w)
	}
	return nil
}

// firstHand names the first item that a collector may not report at first hand.
func (q *sequencer) firstHand(w *work) error {
	for i := range w.items {
		a := &w.items[i]
		if a.kind != daybookv1.Kind_KIND_ACCESS {
			continue
		}
		if err := q.version.MaySpeak(w.producer.ID, a.source, a.target, a.event.Side, daybookv1.Provenance_PROVENANCE_FIRST_HAND); err != nil {
			return refuse(a.number, a.body, err)
		}
	}
	return nil
}
