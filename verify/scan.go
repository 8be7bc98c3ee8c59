package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"unicode/utf8"
)

// MaxUnknown is how many bytes of unknown fields an event may have in all.
const MaxUnknown = 4096

// noSeal is the top of messages whose fields have no sealed number.
const noSeal = math.MaxUint32

// scanner reads one message once, checks the wire grammar and the limits of its
// table, and captures the fields that have a slot. It lives on the caller's
// stack and aliases in.
type scanner struct {
	in      []byte
	event   bool // unknown fields are kept, unknown values refused
	unknown int  // bytes of unknown fields

	numbers [slotCount]uint64
	strings [slotCount][]byte

	seal sealState
}

// elements is what is known of the elements of the field being read.
type elements struct {
	count  uint32
	key    []byte // sort key of the last one
	number uint64 // sort key of the last one
}

// message scans in[pos:end] as the message of table m. top is the number of
// the event's field that holds it: 0 for the message itself, noSeal deeper.
func (s *scanner) message(m *messageTable, pos, end int, top uint32) error {
	b := s.in[:end]
	var seen uint64
	var last uint32
	var el elements
	for pos < len(b) {
		start := pos
		tag := uint64(b[pos])
		if tag < 0x80 {
			pos++
		} else if tag, pos = uvarint(b, pos); pos < 0 || tag > math.MaxUint32 {
			return badVarint(b, start, "tag")
		}
		num := uint32(tag >> 3)
		if num < last || num == 0 {
			return orderError(start, num, last, m)
		}
		var err error
		if num >= uint32(len(m.fields)) || m.fields[num].kind == kindNone {
			last = num
			if pos, err = s.skipUnknown(b, start, pos, tag); err != nil {
				return err
			}
			continue
		}
		f := &m.fields[num]
		if num > last && uint8(tag&7) == f.wire && pos < len(b) {
			if next := s.short(f, b, pos); next > 0 {
				seen |= 1 << num
				last, pos = num, next
				continue
			}
		}
		if uint8(tag&7) != f.wire {
			return &GrammarError{Offset: start, Field: f.name, Reason: fmt.Sprintf("wire type %d, want %d", tag&7, f.wire)}
		}
		if num != last {
			last, el = num, elements{}
		} else if !f.repeated {
			return &GrammarError{Offset: start, Field: f.name, Reason: "singular field repeated"}
		}
		seen |= 1 << num
		if f.wire == wireBytes {
			pos, err = s.delimited(f, num, b, pos, top, &el)
		} else if pos = s.scalar(f, b, pos); pos < 0 {
			err = s.scalarError(f, b, start)
		}
		if err != nil {
			return err
		}
	}
	if s.event && top != noSeal {
		s.seal.note(top, seen)
	}
	if missing := m.required &^ seen; missing != 0 {
		return s.missing(m, top, missing)
	}
	return nil
}

// short reads and captures the value at pos of a field that was not before, as most
// are: singular, a string or a number whose first byte is its length or itself.
// It returns the position after it, or 0: then it takes the long way, which knows
// what is wrong.
func (s *scanner) short(f *fieldTable, b []byte, pos int) int {
	n := b[pos]
	if n < f.low || n > f.high {
		return 0
	}
	pos++
	if f.wire == wireVarint {
		s.numbers[f.slot] = uint64(n)
		return pos
	}
	end := pos + int(n)
	if end > len(b) || f.kind == kindString && !validUTF8(b[pos:end]) {
		return 0
	}
	s.strings[f.slot] = b[pos:end]
	return end
}

// delimited reads the length at pos and the string, bytes, message or packed
// list after it, and returns the position after that.
func (s *scanner) delimited(f *fieldTable, num uint32, b []byte, pos int, top uint32, el *elements) (int, error) {
	n := uint64(0)
	at := pos
	if pos < len(b) && b[pos] < 0x80 {
		n = uint64(b[pos])
		pos++
	} else if n, pos = uvarint(b, pos); pos < 0 {
		return 0, badVarint(b, at, f.name)
	}
	if n > uint64(len(b)-pos) {
		return 0, &GrammarError{Offset: at, Field: f.name, Reason: "length past the end"}
	}
	end := pos + int(n)
	if el.count++; f.repeated && el.count > f.items {
		return 0, &FieldError{Field: f.name, Limit: uint64(f.items), Got: uint64(el.count), Reason: ReasonTooMany}
	}
	switch f.kind {
	case kindMessage:
		return end, s.subMessage(f, num, pos, end, top, el)
	case kindPacked:
		return end, packed(f, b, pos, end)
	}
	if err := checkBytes(f, b[pos:end], at); err != nil {
		return 0, err
	}
	s.strings[f.slot] = b[pos:end]
	return end, nil
}

// subMessage scans the message in field f. Captured sort keys are cleared
// first, so that an element without one does not inherit its neighbour's.
func (s *scanner) subMessage(f *fieldTable, num uint32, pos, end int, top uint32, el *elements) error {
	below := uint32(noSeal)
	if top == 0 && !f.repeated {
		below = num
	}
	if f.order == orderNone {
		if err := s.message(f.sub, pos, end, below); err != nil {
			return inField(err, elementName(f, el.count))
		}
		return nil
	}
	s.strings[slotKey], s.strings[slotAttributeValue], s.numbers[slotKeyNumber] = nil, nil, 0
	if err := s.message(f.sub, pos, end, below); err != nil {
		return inField(err, elementName(f, el.count))
	}
	key, number := s.strings[slotKey], s.numbers[slotKeyNumber]
	if el.count > 1 && (f.order == orderKey && bytes.Compare(el.key, key) >= 0 || f.order == orderNumber && el.number >= number) {
		return &FieldError{Field: elementName(f, el.count), Reason: ReasonNotAscending}
	}
	el.key, el.number = key, number
	if s.event && top == 0 {
		s.seal.element(f.order, el.count, s.strings[slotAttributeValue], number)
	}
	return nil
}

// scalar reads a varint or fixed value at pos, checks and captures it, and
// returns the position after it, or -1.
func (s *scanner) scalar(f *fieldTable, b []byte, pos int) int {
	var v uint64
	if f.wire == wireFixed64 {
		if len(b)-pos < 8 {
			return -1
		}
		v = binary.LittleEndian.Uint64(b[pos:])
		pos += 8
	} else if pos < len(b) && b[pos] < 0x80 {
		v = uint64(b[pos])
		pos++
	} else if v, pos = uvarint(b, pos); pos < 0 {
		return -1
	}
	if v == 0 && !f.explicit {
		return -1
	}
	switch f.kind {
	case kindUint32:
		if v > math.MaxUint32 {
			return -1
		}
	case kindBool:
		if v > 1 {
			return -1
		}
	case kindEnum:
		if v > uint64(f.enumMax) {
			return -1
		}
	}
	s.numbers[f.slot] = v
	return pos
}

// scalarError says why scalar returned -1 for the field whose tag is at start.
func (s *scanner) scalarError(f *fieldTable, b []byte, start int) error {
	_, pos := uvarint(b, start)
	if f.wire == wireFixed64 {
		if len(b)-pos < 8 {
			return &GrammarError{Offset: pos, Field: f.name, Reason: "cut short"}
		}
		return &GrammarError{Offset: pos, Field: f.name, Reason: "zero value written"}
	}
	v, next := uvarint(b, pos)
	switch {
	case next < 0:
		return badVarint(b, pos, f.name)
	case v == 0:
		return &GrammarError{Offset: pos, Field: f.name, Reason: "zero value written"}
	case f.kind == kindEnum && v > math.MaxInt32:
		return &GrammarError{Offset: pos, Field: f.name, Reason: "number out of range"}
	case f.kind == kindEnum && s.event:
		return &FieldError{Field: f.name, Got: v, Reason: ReasonUnknownValue}
	case f.kind == kindEnum:
		return &newerError{field: f.name, what: fmt.Sprintf("unknown value %d", v)}
	}
	return &GrammarError{Offset: pos, Field: f.name, Reason: "number out of range"}
}

// checkBytes checks one string or bytes value, whose length is at start.
func checkBytes(f *fieldTable, v []byte, start int) error {
	switch {
	case len(v) == 0 && !f.repeated && !f.explicit:
		return &GrammarError{Offset: start, Field: f.name, Reason: "zero value written"}
	case f.max != 0 && len(v) > int(f.max):
		return &FieldError{Field: f.name, Limit: uint64(f.max), Got: uint64(len(v)), Reason: ReasonTooLong}
	case len(v) < int(f.min):
		return &FieldError{Field: f.name, Limit: uint64(f.min), Got: uint64(len(v)), Reason: ReasonTooShort}
	case f.kind == kindString && !validUTF8(v):
		return &FieldError{Field: f.name, Reason: ReasonNotUTF8}
	}
	return nil
}

// packed checks a packed list of numbers in b[pos:end].
func packed(f *fieldTable, b []byte, pos, end int) error {
	if pos == end {
		return &GrammarError{Offset: pos, Field: f.name, Reason: "zero value written"}
	}
	b = b[:end]
	var previous uint64
	for items := uint32(1); pos < end; items++ {
		v, next := uvarint(b, pos)
		if next < 0 {
			return badVarint(b, pos, f.name)
		}
		if items > f.items {
			return &FieldError{Field: f.name, Limit: uint64(f.items), Got: uint64(items), Reason: ReasonTooMany}
		}
		if f.order != orderNone && items > 1 && v <= previous {
			return &FieldError{Field: f.name, Reason: ReasonNotAscending}
		}
		previous, pos = v, next
	}
	return nil
}

// skipUnknown passes over the field with that tag, whose tag is at start and
// whose value is at pos, and returns the position after it.
func (s *scanner) skipUnknown(b []byte, start, pos int, tag uint64) (int, error) {
	field := fmt.Sprintf
	next := pos
	switch tag & 7 {
	case wireVarint:
		if _, next = uvarint(b, pos); next < 0 {
			return 0, badVarint(b, pos, field("%d", tag>>3))
		}
	case wireFixed64:
		next += 8
	case wireFixed32:
		next += 4
	case wireBytes:
		n, after := uvarint(b, pos)
		if after < 0 {
			return 0, badVarint(b, pos, field("%d", tag>>3))
		}
		if n > uint64(len(b)-after) {
			return 0, &GrammarError{Offset: pos, Field: field("%d", tag>>3), Reason: "length past the end"}
		}
		next = after + int(n)
	default:
		return 0, &GrammarError{Offset: start, Field: field("%d", tag>>3), Reason: fmt.Sprintf("wire type %d", tag&7)}
	}
	if next > len(b) {
		return 0, &GrammarError{Offset: pos, Field: field("%d", tag>>3), Reason: "cut short"}
	}
	if !s.event {
		return 0, &newerError{field: field("%d", tag>>3), what: "unknown field"}
	}
	if s.unknown += next - start; s.unknown > MaxUnknown {
		return 0, &FieldError{Field: field("%d", tag>>3), Limit: MaxUnknown, Got: uint64(s.unknown), Reason: ReasonTooLong}
	}
	return next, nil
}

// missing refuses the first of the absent fields, or leaves the decision to the
// end of the event, whose sealed list may name them.
func (s *scanner) missing(m *messageTable, top uint32, absent uint64) error {
	if s.event && top != noSeal {
		s.seal.absent(top, absent)
		return nil
	}
	return &FieldError{Field: m.fields[bits.TrailingZeros64(absent)].name, Reason: ReasonMissing}
}

// uvarint reads a minimal varint at pos and returns the position after it; -1
// where it is cut short, not minimal or over 64 bits.
func uvarint(b []byte, pos int) (uint64, int) {
	var v uint64
	for shift := uint(0); shift < 64 && pos < len(b); shift += 7 {
		c := b[pos]
		pos++
		if c < 0x80 {
			if c == 0 && shift > 0 || shift == 63 && c > 1 {
				return 0, -1
			}
			return v | uint64(c)<<shift, pos
		}
		v |= uint64(c&0x7f) << shift
	}
	return 0, -1
}

func badVarint(b []byte, pos int, field string) error {
	return &GrammarError{Offset: min(pos, len(b)), Field: field, Reason: "varint cut short, not minimal or too large"}
}

// validUTF8 is utf8.Valid, faster on the short ASCII that events are made of:
// eight bytes at a time, the last eight overlapping.
func validUTF8(b []byte) bool {
	const high = 0x8080808080808080
	if len(b) >= 8 {
		i := 0
		for ; i+8 <= len(b); i += 8 {
			if binary.LittleEndian.Uint64(b[i:])&high != 0 {
				return utf8.Valid(b)
			}
		}
		if binary.LittleEndian.Uint64(b[len(b)-8:])&high != 0 {
			return utf8.Valid(b)
		}
		return true
	}
	var or byte
	for _, c := range b {
		or |= c
	}
	return or < 0x80 || utf8.Valid(b)
}
