package main

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// reignClaims says what an entry that was proven says of the log itself: which log
// it succeeds, which key takes over, and which log goes on. Other entries say
// nothing of it.
func (r *result) reignClaims(entry []byte) error {
	e, err := verify.ParseEntry(entry)
	if err != nil {
		return err
	}
	switch e.Place.Kind {
	case daybookv1.Kind_KIND_ORIGIN_OPENED:
		m := new(daybookv1.OriginOpened)
		if err := proto.Unmarshal(e.Body, m); err != nil || m.Succeeds == nil {
			return err
		}
		return r.predecessorClaim(m)
	case daybookv1.Kind_KIND_KEY_ROTATION:
		m := new(daybookv1.KeyRotation)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return err
		}
		r.rotationClaim(m)
	case daybookv1.Kind_KIND_SUCCESSION:
		m := new(daybookv1.Succession)
		if err := proto.Unmarshal(e.Body, m); err != nil {
			return err
		}
		r.claim("succession", map[string]any{"origin": m.Origin, "vkey": m.Vkey, "reason": m.Reason, "requester": m.Requester},
			"it ends the log in favour of %s%s; the key of that log is %s", plain(m.Origin), because(m.Reason), plain(m.Vkey))
	}
	return nil
}

// predecessorClaim says which log this one succeeds, after what was cited of it was
// checked.
func (r *result) predecessorClaim(m *daybookv1.OriginOpened) error {
	p := m.Succeeds
	if err := verify.CheckPredecessor(m.Origin, p); err != nil {
		return fmt.Errorf("entry 0: %w", err)
	}
	text := "nothing of it is lost"
	switch {
	case p.LostFirst < p.LostEnd:
		text = fmt.Sprintf("of which entries %d to %d are LOST%s", p.LostFirst, p.LostEnd-1, because(p.Reason))
	case p.Succession != 0:
		text = fmt.Sprintf("which ended with entry %d; nothing of it is lost", p.Succession-1)
	}
	r.claim("predecessor", map[string]any{"origin": p.Origin, "vkey": p.Vkey, "lost_first": p.LostFirst, "lost_end": p.LostEnd, "succession": p.Succession, "reason": p.Reason},
		"it succeeds log %s, %s", plain(p.Origin), text)
	return nil
}

func (r *result) rotationClaim(m *daybookv1.KeyRotation) {
	words := []string{}
	if sum, err := verify.VKeyFingerprint(m.NewVkey); err == nil {
		words = verify.FingerprintWords(sum)
	}
	data := map[string]any{"step": m.Step.String(), "old_vkey": m.OldVkey, "new_vkey": m.NewVkey, "words": words,
		"compromised": m.Compromised, "reason": m.Reason, "requester": m.Requester}
	doubt := ""
	if m.Compromised {
		doubt = "; the old key is in other hands: what it alone has signed is not to be believed"
	}
	if m.Step == daybookv1.KeyStep_KEY_STEP_RETIRED {
		r.claim("rotation", data, "key %s signs no more; %s signs%s%s", plain(verify.KeyName(m.OldVkey)), plain(verify.KeyName(m.NewVkey)), because(m.Reason), doubt)
		return
	}
	r.claim("rotation", data, "key %s takes over from %s%s%s; its words are: %s", plain(verify.KeyName(m.NewVkey)), plain(verify.KeyName(m.OldVkey)),
		because(m.Reason), doubt, strings.Join(words, " "))
}

// because is a reason behind a colon, where there is one.
func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + plain(reason)
}
