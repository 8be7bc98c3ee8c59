package client

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// Item is one thing that takes a number in a run: make it with Event, Declined
// or Gap.
type Item struct {
	// Kind is ACCESS, DECLINED or GAP.
	Kind daybookv1.Kind
	// Body is the marshalled Event, Declined or Gap; of the latter two it is set
	// once the item has its number. The client keeps it and never changes it;
	// neither may the caller after handing it over.
	Body []byte
	// Openings open the event's sealed values.
	Openings []Opening

	// declined and gap are marshalled once the item has its number.
	declined *daybookv1.Declined
	gap      *daybookv1.Gap
	// numbers is how many numbers a gap takes; 0: one.
	numbers uint64
}

// Opening opens one sealed value of an event.
type Opening struct {
	// Field is the sealed field, as in Sealed.
	Field uint32
	// Salt is 32 random bytes.
	Salt []byte
	// Value is the value.
	Value []byte
}

// Event makes the item of one event's bytes (daybook.v1.Event, marshalled).
func Event(body []byte, openings ...Opening) Item {
	return Item{Kind: daybookv1.Kind_KIND_ACCESS, Body: body, Openings: openings}
}

// Declined makes the item that takes the number of an event that cannot be
// admitted. Its number is set when it is appended; d is not changed.
func Declined(d *daybookv1.Declined) Item {
	return Item{Kind: daybookv1.Kind_KIND_DECLINED, declined: d}
}

// Gap makes the item that declares the next count numbers as lost.
func Gap(count uint64, reason string) Item {
	return Item{Kind: daybookv1.Kind_KIND_GAP, gap: &daybookv1.Gap{Reason: reason}, numbers: max(count, 1)}
}

// span is how many numbers the item takes.
func (it *Item) span() uint64 { return max(it.numbers, 1) }

// number gives the items their numbers from first on and returns the number
// after the last. Afterwards every item has its body.
func number(items []Item, first uint64) (uint64, error) {
	next := first
	for i := range items {
		it := &items[i]
		if err := it.marshal(next); err != nil {
			return 0, err
		}
		if len(it.Body) > verify.MaxBody {
			return 0, &verify.FieldError{Field: "body", Limit: verify.MaxBody, Got: uint64(len(it.Body)), Reason: verify.ReasonTooLong}
		}
		next += it.span()
	}
	return next, nil
}

// marshal writes the body of an item that carries its own number.
func (it *Item) marshal(number uint64) error {
	var m proto.Message
	switch {
	case it.declined != nil:
		d := proto.Clone(it.declined).(*daybookv1.Declined)
		d.Number = number
		m = d
	case it.gap != nil:
		g := proto.Clone(it.gap).(*daybookv1.Gap)
		g.First, g.Last = number, number+it.span()-1
		m = g
	default:
		return nil
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("marshalling item %d: %w", number, err)
	}
	it.Body = body
	return nil
}
