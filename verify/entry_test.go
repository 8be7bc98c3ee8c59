package verify_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

func sampleHeads() (verify.BatchHead, verify.EntryHead) {
	return verify.BatchHead{FormatVersion: 1, LogTimeNS: -5, Producer: "spiffe://web.example/gw", KeyFingerprint: verify.Hash{1}, Provenance: daybookv1.Provenance_PROVENANCE_BACKFILL,
			Run: verify.Hash{2}, Epoch: 3, MapIndex: 1 << 40, RulesVersion: 1},
		verify.EntryHead{Kind: daybookv1.Kind_KIND_ACCESS, Index: 1 << 50, Number: 300, Source: "web.example", Target: "db.example", Side: daybookv1.Side_SIDE_GATEWAY,
			Late: true, Position: 7, PreviousInStream: 128, PreviousInRun: 127, Verdict: daybookv1.Verdict_VERDICT_UNMAPPED, Blind: bytes.Repeat([]byte{9}, 16)}
}

// headMessages are the same heads as protobuf messages.
func headMessages(h verify.BatchHead, p verify.EntryHead) (*daybookv1.BatchHead, *daybookv1.EntryHead) {
	return &daybookv1.BatchHead{FormatVersion: h.FormatVersion, LogTimeNs: h.LogTimeNS, Producer: h.Producer, KeyFingerprint: h.KeyFingerprint[:],
			Provenance: h.Provenance, Run: h.Run[:], Epoch: h.Epoch, MapIndex: h.MapIndex, RulesVersion: h.RulesVersion},
		&daybookv1.EntryHead{Kind: p.Kind, Index: p.Index, Number: p.Number, Source: p.Source, Target: p.Target, Side: p.Side, Late: p.Late, Position: p.Position,
			PreviousInStream: p.PreviousInStream, PreviousInRun: p.PreviousInRun, Verdict: p.Verdict, Blind: p.Blind}
}

// TestEntryIsProtobuf: our own encoding of an entry is the one protobuf makes
// of the same message, with every field set and with as few as may be.
func TestEntryIsProtobuf(t *testing.T) {
	full, fullPlace := sampleHeads()
	small := verify.BatchHead{FormatVersion: 1, LogTimeNS: 1, Producer: "p", Provenance: 1, Epoch: 1, RulesVersion: 1}
	for _, tc := range []struct {
		head  verify.BatchHead
		place verify.EntryHead
	}{{full, fullPlace}, {small, verify.EntryHead{Kind: daybookv1.Kind_KIND_ORIGIN_OPENED}}} {
		head, place := headMessages(tc.head, tc.place)
		if diff := cmp.Diff(marshal(t, head), tc.head.AppendTo(nil)); diff != "" {
			t.Errorf("batch head (-protobuf +ours):\n%s", diff)
		}
		if diff := cmp.Diff(marshal(t, place), tc.place.AppendTo(nil)); diff != "" {
			t.Errorf("entry head (-protobuf +ours):\n%s", diff)
		}
		entry := verify.AppendEntry(nil, tc.head.AppendTo(nil), tc.place.AppendTo(nil), []byte("body"))
		if diff := cmp.Diff(marshal(t, &daybookv1.Entry{Head: head, Place: place, Body: []byte("body")}), entry); diff != "" {
			t.Errorf("entry (-protobuf +ours):\n%s", diff)
		}
		e, err := verify.ParseEntry(entry)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.head, e.Head); diff != "" {
			t.Errorf("batch head (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(tc.place, e.Place); diff != "" {
			t.Errorf("entry head (-want +got):\n%s", diff)
		}
		if again := verify.AppendEntry(nil, e.HeadBytes, e.PlaceBytes, e.Body); !bytes.Equal(again, entry) {
			t.Errorf("parts give %x, want %x", again, entry)
		}
		if n := testing.AllocsPerRun(50, func() { _, err = verify.ParseEntry(entry) }); n != 0 {
			t.Errorf("ParseEntry allocates %v times", n)
		}
		buf := make([]byte, 0, 1000)
		if n := testing.AllocsPerRun(50, func() { tc.place.AppendTo(tc.head.AppendTo(buf)) }); n != 0 {
			t.Errorf("AppendTo allocates %v times", n)
		}
	}
}

func TestParseEntryRefuses(t *testing.T) {
	h, p := sampleHeads()
	head, place, body := h.AppendTo(nil), p.AppendTo(nil), []byte("body")
	good := verify.AppendEntry(nil, head, place, body)
	part := func(number protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), b)
	}
	withPlace := func(change func(*verify.EntryHead)) []byte {
		q := p
		change(&q)
		return verify.AppendEntry(nil, head, q.AppendTo(nil), body)
	}
	withHead := func(change func(*verify.BatchHead)) []byte {
		q := h
		change(&q)
		return verify.AppendEntry(nil, q.AppendTo(nil), place, body)
	}
	for _, tc := range []struct {
		name  string
		entry []byte
		want  string
	}{
		{"empty", nil, "field head: missing"},
		{"no place", part(1, head), "field place: missing"},
		{"no body", slicesConcat(part(1, head), part(2, place)), "field body: missing"},
		{"empty body", slicesConcat(part(1, head), part(2, place), part(3, nil)), "field body: missing"},
		{"out of order", slicesConcat(part(2, place), part(1, head), part(3, body)), "byte 0, field head: tag 18 in its place"},
		{"head twice", slicesConcat(part(1, head), good), "tag 10 in its place"},
		{"body twice", slicesConcat(good, part(3, body)), "bytes after the body"},
		{"trailing byte", append(bytes.Clone(good), 0x23), "bytes after the body"},
		{"cut", good[:len(good)-1], "field body: length past the end"},
		{"long body", verify.AppendEntry(nil, head, place, make([]byte, 61441)), "field body: too long: 61441, limit 61440"},
		{"long heads", withHead(func(h *verify.BatchHead) { h.Producer = strings.Repeat("p", 2049) }), "field head.producer: too long: 2049, limit 2048"},
		{"no producer", withHead(func(h *verify.BatchHead) { h.Producer = "" }), "field head.producer: missing"},
		{"no epoch", withHead(func(h *verify.BatchHead) { h.Epoch = 0 }), "field head.epoch: missing"},
		{"no time", withHead(func(h *verify.BatchHead) { h.LogTimeNS = 0 }), "field head.log_time_ns: missing"},
		{"no provenance", withHead(func(h *verify.BatchHead) { h.Provenance = 0 }), "field head.provenance: missing"},
		{"format 0", withHead(func(h *verify.BatchHead) { h.FormatVersion = 0 }), "field head.format_version: missing"},
		{"no kind", withPlace(func(p *verify.EntryHead) { p.Kind = 0 }), "field place.kind: missing"},
		{"no number", withPlace(func(p *verify.EntryHead) { p.Number = 0 }), "field place.number: missing"},
		{"number of a run's opening", withPlace(func(p *verify.EntryHead) { *p = verify.EntryHead{Kind: daybookv1.Kind_KIND_RUN_OPENED, Number: 1} }), "field place.number: not allowed"},
		{"side of a gap", withPlace(func(p *verify.EntryHead) { p.Kind, p.Late, p.Verdict = daybookv1.Kind_KIND_GAP, false, 0 }), "field place.side: not allowed"},
		{"late gap", withPlace(func(p *verify.EntryHead) { p.Kind, p.Side, p.Verdict = daybookv1.Kind_KIND_GAP, 0, 0 }), "field place.late: not allowed"},
		{"judged gap", withPlace(func(p *verify.EntryHead) { p.Kind, p.Side, p.Late = daybookv1.Kind_KIND_GAP, 0, false }), "field place.verdict: not allowed"},
		{"long source", withPlace(func(p *verify.EntryHead) { p.Source = strings.Repeat("a", 64) }), "field place.source: too long: 64, limit 63"},
		{"source not UTF-8", withPlace(func(p *verify.EntryHead) { p.Source = "\xff" }), "field place.source: not UTF-8"},
		{"short blind", withPlace(func(p *verify.EntryHead) { p.Blind = p.Blind[:15] }), "field place.blind: too short: 15, limit 16"},
	} {
		_, err := verify.ParseEntry(tc.entry)
		if err == nil || !strings.Contains(err.Error(), tc.want) || errors.Is(err, verify.ErrNewer) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.want)
		}
	}
	for name, entry := range map[string][]byte{
		"field 4 of an entry":     append(bytes.Clone(good), 0x20, 1),
		"field 10 of a head":      verify.AppendEntry(nil, append(bytes.Clone(head), 0x50, 1), place, body),
		"field 13 of a place":     verify.AppendEntry(nil, head, append(bytes.Clone(place), 0x68, 1), body),
		"format 2":                withHead(func(h *verify.BatchHead) { h.FormatVersion = 2 }),
		"kind 21":                 withPlace(func(p *verify.EntryHead) { p.Kind = 21 }),
		"verdict 14":              withPlace(func(p *verify.EntryHead) { p.Verdict = 14 }),
		"side 5":                  withPlace(func(p *verify.EntryHead) { p.Side = 5 }),
		"provenance 4":            withHead(func(h *verify.BatchHead) { h.Provenance = 4 }),
		"format 2, another shape": verify.AppendEntry(nil, []byte{8, 2, 8, 2}, place, body),
	} {
		if _, err := verify.ParseEntry(entry); !errors.Is(err, verify.ErrNewer) {
			t.Errorf("%s: error %v, want ErrNewer", name, err)
		}
	}
}

// TestLargestHeadsFit: heads at all their limits stay within MaxHeads, and the
// largest entry within the 65,535 bytes of tlog-tiles.
func TestLargestHeadsFit(t *testing.T) {
	const most = 1<<64 - 1
	h := verify.BatchHead{FormatVersion: 1, LogTimeNS: -1, Producer: strings.Repeat("p", 2048), Provenance: 3, Epoch: most, MapIndex: most, RulesVersion: 1<<32 - 1}
	p := verify.EntryHead{Kind: daybookv1.Kind_KIND_ACCESS, Index: most, Number: most, Source: strings.Repeat("s", 63), Target: strings.Repeat("t", 63), Side: 4, Late: true,
		Position: most, PreviousInStream: most, PreviousInRun: most, Verdict: 13, Blind: make([]byte, 16)}
	entry := verify.AppendEntry(nil, h.AppendTo(nil), p.AppendTo(nil), make([]byte, verify.MaxBody))
	if n := len(entry) - verify.MaxBody; n > verify.MaxHeads || len(entry) > 65535 {
		t.Errorf("heads of %d bytes, entry of %d", n, len(entry))
	}
	if _, err := verify.ParseEntry(entry); err != nil {
		t.Error(err)
	}
}

func slicesConcat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// bodyMessages holds the message of each kind.
var bodyMessages = map[daybookv1.Kind]proto.Message{
	1: &daybookv1.OriginOpened{}, 2: &daybookv1.Event{}, 3: &daybookv1.Declined{}, 4: &daybookv1.Gap{}, 5: &daybookv1.RunOpened{}, 6: &daybookv1.RunResumed{},
	7: &daybookv1.RunHeartbeat{}, 8: &daybookv1.RunEnded{}, 9: &daybookv1.DomainMap{}, 10: &daybookv1.Approval{}, 11: &daybookv1.Revocation{}, 12: &daybookv1.Alert{},
	13: &daybookv1.Close{}, 14: &daybookv1.Activity{}, 15: &daybookv1.KeyRotation{}, 16: &daybookv1.Succession{}, 17: &daybookv1.Hold{}, 18: &daybookv1.Release{},
	19: &daybookv1.Disposal{}, 20: &daybookv1.Part{},
}

// filled sets every field of a message to something its limits allow.
func filled(m protoreflect.Message) protoreflect.Message {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fd.FullName() == "daybook.v1.Event.sealed" {
			continue // nothing is left to seal
		}
		limits := proto.GetExtension(fd.Options(), daybookv1.E_Limits).(*daybookv1.FieldLimits)
		value := func(n uint64) protoreflect.Value {
			switch fd.Kind() {
			case protoreflect.StringKind:
				return protoreflect.ValueOfString(strings.Repeat("é", int(max(2, limits.GetMin())/2)))
			case protoreflect.BytesKind:
				return protoreflect.ValueOfBytes(bytes.Repeat([]byte{0xfe}, int(max(1, limits.GetMin()))))
			case protoreflect.BoolKind:
				return protoreflect.ValueOfBool(true)
			case protoreflect.EnumKind:
				return protoreflect.ValueOfEnum(protoreflect.EnumNumber(fd.Enum().Values().Len() - 1))
			case protoreflect.Uint32Kind:
				return protoreflect.ValueOfUint32(uint32(n))
			case protoreflect.Uint64Kind:
				return protoreflect.ValueOfUint64(n)
			default:
				return protoreflect.ValueOfInt64(-int64(n))
			}
		}
		switch {
		case fd.IsList() && fd.Kind() == protoreflect.MessageKind:
			filled(m.Mutable(fd).List().AppendMutable().Message())
		case fd.IsList():
			list := m.Mutable(fd).List()
			list.Append(value(7))
			list.Append(value(1 << 40))
		case fd.Kind() == protoreflect.MessageKind:
			filled(m.Mutable(fd).Message())
		default:
			m.Set(fd, value(1<<31))
		}
	}
	return m
}

// TestCheckBodyOfEveryKind takes each message with all fields set, refuses each
// without each of its required fields by name, and finds it newer with one
// field more.
func TestCheckBodyOfEveryKind(t *testing.T) {
	for kind := range daybookv1.Kind_name {
		k := daybookv1.Kind(kind)
		if k == 0 {
			var fe *verify.FieldError
			if err := verify.CheckBody(k, []byte("x")); !errors.As(err, &fe) || fe.Field != "kind" {
				t.Errorf("kind 0: %v", err)
			}
			continue
		}
		m := bodyMessages[k]
		if m == nil {
			t.Fatalf("kind %v has no message", k)
		}
		full := filled(m.ProtoReflect().New())
		b := marshal(t, full.Interface())
		if err := verify.CheckBody(k, b); err != nil {
			t.Errorf("%v: %v", k, err)
		}
		fields := full.Descriptor().Fields()
		for i := range fields.Len() {
			fd := fields.Get(i)
			required := proto.GetExtension(fd.Options(), daybookv1.E_Limits).(*daybookv1.FieldLimits).GetRequired()
			without := proto.Clone(full.Interface()).ProtoReflect()
			without.Clear(fd)
			err := verify.CheckBody(k, marshal(t, without.Interface()))
			var fe *verify.FieldError
			switch {
			case !required && err != nil:
				t.Errorf("%v without %s: %v", k, fd.Name(), err)
			case required && (!errors.As(err, &fe) || fe.Field != string(fd.Name()) || fe.Reason != verify.ReasonMissing):
				t.Errorf("%v without %s: %v, want it missing", k, fd.Name(), err)
			}
		}
		err := verify.CheckBody(k, append(bytes.Clone(b), 0xa0, 0x06, 1))
		if k == daybookv1.Kind_KIND_ACCESS && err != nil || k != daybookv1.Kind_KIND_ACCESS && !errors.Is(err, verify.ErrNewer) {
			t.Errorf("%v with field 100: %v", k, err)
		}
	}
	if err := verify.CheckBody(21, []byte("x")); !errors.Is(err, verify.ErrNewer) {
		t.Errorf("kind 21: %v", err)
	}
}

// TestAscendingLists refuses lists that do not ascend, in every message that
// has such a one.
func TestAscendingLists(t *testing.T) {
	for kind, list := range map[daybookv1.Kind]string{9: "approvals", 12: "entries", 15: "approvals", 16: "approvals", 18: "approvals", 19: "approvals"} {
		m := filled(bodyMessages[kind].ProtoReflect().New())
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(list))
		m.Mutable(fd).List().Append(protoreflect.ValueOfUint64(1 << 40))
		var fe *verify.FieldError
		if err := verify.CheckBody(kind, marshal(t, m.Interface())); !errors.As(err, &fe) || fe.Field != list || fe.Reason != verify.ReasonNotAscending {
			t.Errorf("%v: %v", kind, err)
		}
	}
	c := filled((&daybookv1.Close{}).ProtoReflect()).Interface().(*daybookv1.Close)
	c.Kinds = []*daybookv1.CloseCount{{Value: 3, Count: 1}, {Value: 3, Count: 1}}
	var fe *verify.FieldError
	if err := verify.CheckBody(daybookv1.Kind_KIND_CLOSE, marshal(t, c)); !errors.As(err, &fe) || fe.Field != "kinds[1]" {
		t.Errorf("close: %v", err)
	}
}

// FuzzParseEntry: what is taken has one encoding, which protobuf reads alike.
func FuzzParseEntry(f *testing.F) {
	l := newSampleLog(f, 1)
	for _, e := range l.entries {
		f.Add(e)
	}
	h, p := sampleHeads()
	f.Add(verify.AppendEntry(nil, h.AppendTo(nil), p.AppendTo(nil), []byte("body")))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := verify.ParseEntry(b)
		if err != nil {
			return
		}
		head, place := headMessages(e.Head, e.Place)
		if again := marshal(t, &daybookv1.Entry{Head: head, Place: place, Body: e.Body}); !bytes.Equal(again, b) {
			t.Fatalf("%x reads as %x", b, again)
		}
		if again := verify.AppendEntry(nil, e.Head.AppendTo(nil), e.Place.AppendTo(nil), e.Body); !bytes.Equal(again, b) {
			t.Fatalf("%x is written as %x", b, again)
		}
	})
}

// FuzzCheckBody: a body of any kind that is taken has one encoding.
func FuzzCheckBody(f *testing.F) {
	for kind, m := range bodyMessages {
		f.Add(int32(kind), marshal(f, filled(m.ProtoReflect().New()).Interface()))
	}
	f.Fuzz(func(t *testing.T, kind int32, b []byte) {
		k := daybookv1.Kind(kind)
		if verify.CheckBody(k, b) != nil || k == daybookv1.Kind_KIND_ACCESS {
			return
		}
		m := bodyMessages[k].ProtoReflect().New().Interface()
		if err := proto.Unmarshal(b, m); err != nil {
			t.Fatalf("protobuf refuses %v %x: %v", k, b, err)
		}
		if again := marshal(t, m); !bytes.Equal(again, b) {
			t.Fatalf("%v %x reads as %x", k, b, again)
		}
	})
}

// TestParseAfter reads entries after each other: the same as each alone, whether
// their batch heads are the same or not.
func TestParseAfter(t *testing.T) {
	l := newSampleLog(t, 3)
	var e verify.Entry
	for _, first := range l.entries {
		for _, second := range append(l.entries, first[:len(first)-1]) {
			before, err := verify.ParseEntry(first)
			if err != nil {
				t.Fatal(err)
			}
			want, wantErr := verify.ParseEntry(second)
			err = e.ParseAfter(&before, second)
			if (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(e, want) {
				t.Fatalf("%x after %x: %v, %v", second, first, err, wantErr)
			}
		}
	}
}

func BenchmarkParseEntry(b *testing.B) {
	l := newSampleLog(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verify.ParseEntry(l.entries[2]); err != nil {
			b.Fatal(err)
		}
	}
}
