package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Limits of the event's texts, in bytes, as proto/daybook/v1/event.proto has
// them; verify.ParseEvent holds every result to them.
const (
	maxID         = 64
	maxActor      = 512
	maxAddress    = 256
	maxService    = 256
	maxResource   = 2048
	maxType       = 128
	maxOperation  = 256
	maxSmall      = 64
	maxCode       = 128
	maxReason     = 1024
	maxAttribute  = 4096
	maxAttributes = 64
	maxDelegates  = 16
)

// builder collects one event. The first fault wins; what follows it is ignored.
type builder struct {
	record Record
	event  *daybookv1.Event
	fault  *Reason
	// attributes by key.
	attributes map[string]string
	// shortened names the fields whose text was cut.
	shortened []string
}

func newBuilder(r Record) *builder {
	return &builder{
		record: r,
		event: &daybookv1.Event{
			Source:  &daybookv1.Source{},
			Target:  &daybookv1.Target{},
			Actor:   &daybookv1.Actor{},
			Action:  &daybookv1.Action{},
			Outcome: &daybookv1.Outcome{},
		},
		attributes: map[string]string{},
	}
}

// fail keeps the first fault.
func (b *builder) fail(code Code, field, format string, args ...any) {
	if b.fault == nil {
		b.fault = reasonf(code, field, format, args...)
	}
}

// text returns s, cut to max bytes; the cut is noted under the event's field.
func (b *builder) text(field, s string, max int) string {
	if len(s) <= max {
		return s
	}
	b.shortened = append(b.shortened, field)
	return cut(s, max)
}

// identity returns s, which is not cut: over max bytes it is a fault.
func (b *builder) identity(field, s string, max int) string {
	if len(s) > max {
		b.fail(TooLong, field, "%d bytes, at most %d", len(s), max)
	}
	return s
}

// attribute keeps a further property; an empty one is left out.
func (b *builder) attribute(key, value string) {
	if value != "" {
		b.attributes[key] = b.text(key, value, maxAttribute)
	}
}

// at sets when the access happened, and the text that says so.
func (b *builder) at(field, text string, t time.Time) {
	first, last := time.Unix(0, 1), time.Unix(0, 1<<63-1)
	if t.Before(first) || t.After(last) {
		b.fail(BadValue, field, "%q is out of range", cut(text, maxSmall))
		return
	}
	b.event.OccurredAtNs = t.UnixNano()
	b.event.Clock = &daybookv1.Clock{OriginalText: b.text("clock.original_text", text, maxSmall)}
}

// eventID sets the event's id; a record without one gets the file's digest and
// its own number.
func (b *builder) eventID(id string) {
	if id == "" {
		id = fmt.Sprintf("%x:%d", b.record.File[:8], b.record.Number)
	}
	b.event.EventId = shortID(id)
}

// correlation sets what the reports of one crossing share.
func (b *builder) correlation(id string) {
	if id != "" {
		b.event.CorrelationId = shortID(id)
	}
}

// operation sets class and name of what was done; a name that is not told is
// unknown.
func (b *builder) operation(class daybookv1.ActionClass, name string) {
	if name == "" {
		name = unknown
	}
	b.event.Action.Class = class
	b.event.Action.Operation = b.identity("action.operation", name, maxOperation)
}

// actor sets who acted; an id that is not told is unknown.
func (b *builder) actor(id string, typ daybookv1.ActorType) {
	switch id {
	case "", unknown:
		id, typ = unknown, daybookv1.ActorType_ACTOR_TYPE_UNKNOWN
	case anonymous:
		typ = daybookv1.ActorType_ACTOR_TYPE_ANONYMOUS
	}
	b.event.Actor.Id = b.identity("actor.id", id, maxActor)
	b.event.Actor.Type = typ
}

// delegate adds on whose behalf the actor acted; an empty id is left out.
func (b *builder) delegate(id string, typ daybookv1.ActorType) {
	if id == "" || len(b.event.Actor.Delegation) == maxDelegates {
		return
	}
	b.event.Actor.Delegation = append(b.event.Actor.Delegation, &daybookv1.Delegate{
		Id:   b.identity("actor.delegation", id, maxActor),
		Type: typ,
	})
}

// outcome sets what became of the access.
func (b *builder) outcome(result daybookv1.OutcomeResult, code, reason string) {
	b.event.Outcome.Result = result
	b.event.Outcome.Code = b.text("outcome.code", code, maxCode)
	b.event.Outcome.Reason = b.text("outcome.reason", reason, maxReason)
}

// finish sets the attributes, keys ascending, and returns the first fault.
func (b *builder) finish() *Reason {
	if len(b.shortened) > 0 {
		sort.Strings(b.shortened)
		b.attributes["mapping.cut"] = cut(strings.Join(b.shortened, ","), maxAttribute)
	}
	keys := make([]string, 0, len(b.attributes))
	for key := range b.attributes {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	if len(keys) > maxAttributes {
		b.fail(TooLong, "attributes", "%d, at most %d", len(keys), maxAttributes)
	}
	for _, key := range keys {
		b.event.Attributes = append(b.event.Attributes, &daybookv1.Attribute{Key: key, Value: b.attributes[key]})
	}
	return b.fault
}

// shortID returns an id of at most 64 bytes: a longer one as the hex digits of
// its SHA-256, which are 64.
func shortID(id string) []byte {
	if len(id) <= maxID {
		return []byte(id)
	}
	sum := sha256.Sum256([]byte(id))
	return []byte(hex.EncodeToString(sum[:]))
}

// cut returns at most max bytes of s, never half a character.
func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max]
}
