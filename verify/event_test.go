package verify_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// sampleEvent is an event of the usual size, about 550 bytes.
func sampleEvent() *daybookv1.Event {
	readOnly := true
	return &daybookv1.Event{
		EventId:      []byte("0123456789abcdef"),
		OccurredAtNs: 1_783_000_000_123_456_789,
		Clock:        &daybookv1.Clock{UncertaintyNs: 1000, OriginalText: "2026-07-02T10:26:40.123Z"},
		Side:         daybookv1.Side_SIDE_TARGET,
		Source: &daybookv1.Source{Domain: "broker.desk.example", Address: "192.0.2.17", Service: "order-router",
			Proof: daybookv1.SourceProof_SOURCE_PROOF_PEER_CERTIFICATE},
		Target: &daybookv1.Target{Domain: "prod.db.example", Service: "rds.amazonaws.com",
			Resource: "arn:aws:rds:us-east-1:123456789012:db:orders", Type: "AWS::RDS::DBInstance", Classification: "restricted"},
		Actor: &daybookv1.Actor{Id: "arn:aws:sts::123456789012:assumed-role/Trader/alice", Type: daybookv1.ActorType_ACTOR_TYPE_HUMAN,
			Authentication: "oidc+mfa", Credential: &daybookv1.CredentialFingerprint{KeyId: "k1", HmacSha256: bytes.Repeat([]byte{7}, 32)}},
		Action: &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_READ, Operation: "DescribeDBInstances", Protocol: "https", ReadOnly: &readOnly},
		Authorization: &daybookv1.Authorization{PolicyId: "arn:aws:iam::123456789012:policy/Read", GrantId: "grant-17",
			Approver: "bob@example.com", Ticket: "CHG-4711", Purpose: "reconciliation"},
		Decision:       daybookv1.Decision_DECISION_ALLOWED,
		Outcome:        &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_SUCCESS, Code: "200"},
		CorrelationId:  []byte("4bf92f3577b34da6a3ce929d0e0e4736"),
		RetentionClass: "6y",
		Attributes:     []*daybookv1.Attribute{{Key: "aws.region", Value: "us-east-1"}, {Key: "user.agent", Value: "aws-cli/2.1"}},
		Original:       &daybookv1.Original{Sha256: bytes.Repeat([]byte{3}, 32), Record: 17, Mapping: "cloudtrail/1"},
	}
}

// marshal marshals as producers do: fields in order.
func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fieldsOf derives what ParseEvent must give from the unmarshalled message.
func fieldsOf(e *daybookv1.Event) verify.EventFields {
	str := func(s string) []byte {
		if s == "" {
			return nil
		}
		return []byte(s)
	}
	return verify.EventFields{
		EventID: e.GetEventId(), OccurredAtNS: e.GetOccurredAtNs(), Side: e.GetSide(),
		SourceDomain: str(e.GetSource().GetDomain()), TargetDomain: str(e.GetTarget().GetDomain()),
		SourceProof: e.GetSource().GetProof(), ActorID: str(e.GetActor().GetId()), ActionClass: e.GetAction().GetClass(),
		Operation: str(e.GetAction().GetOperation()), Decision: e.GetDecision(), Outcome: e.GetOutcome().GetResult(),
		CorrelationID: e.GetCorrelationId(), RetentionClass: str(e.GetRetentionClass()), GrantID: str(e.GetAuthorization().GetGrantId()),
		Approver: str(e.GetAuthorization().GetApprover()), Ticket: str(e.GetAuthorization().GetTicket()),
		Purpose: str(e.GetAuthorization().GetPurpose()), Resource: str(e.GetTarget().GetResource()),
		Credential: e.GetActor().GetCredential().GetHmacSha256(), Sealed: len(e.GetSealed()),
		ClockSource: str(e.GetClock().GetSource()), ClockOffsetNS: e.GetClock().GetOffsetNs(), UncertaintyNS: e.GetClock().GetUncertaintyNs(),
	}
}

func TestParseEventFields(t *testing.T) {
	e := sampleEvent()
	e.Clock.Source, e.Clock.OffsetNs = "chrony:NIST", -17_000
	b := marshal(t, e)
	got, err := verify.ParseEvent(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fieldsOf(e), got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if n := testing.AllocsPerRun(100, func() { _, err = verify.ParseEvent(b) }); n != 0 || err != nil {
		t.Errorf("ParseEvent allocates %v times, err %v", n, err)
	}
}

// TestParseEventNamesField refuses one fault at a time by name, limit and
// reason.
func TestParseEventNamesField(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	for _, tc := range []struct {
		name  string
		spoil func(*daybookv1.Event)
		want  verify.FieldError
	}{
		{"no id", func(e *daybookv1.Event) { e.EventId = nil }, verify.FieldError{Field: "event_id", Reason: "missing"}},
		{"long id", func(e *daybookv1.Event) { e.EventId = make([]byte, 65) }, verify.FieldError{Field: "event_id", Limit: 64, Got: 65, Reason: "too long"}},
		{"no time", func(e *daybookv1.Event) { e.OccurredAtNs = 0 }, verify.FieldError{Field: "occurred_at_ns", Reason: "missing"}},
		{"no source", func(e *daybookv1.Event) { e.Source = nil }, verify.FieldError{Field: "source", Reason: "missing"}},
		{"no source domain", func(e *daybookv1.Event) { e.Source.Domain = "" }, verify.FieldError{Field: "source.domain", Reason: "missing"}},
		{"no target domain", func(e *daybookv1.Event) { e.Target.Domain = "" }, verify.FieldError{Field: "target.domain", Reason: "missing"}},
		{"long domain", func(e *daybookv1.Event) { e.Target.Domain = long(254) }, verify.FieldError{Field: "target.domain", Limit: 253, Got: 254, Reason: "too long"}},
		{"no actor id", func(e *daybookv1.Event) { e.Actor.Id = "" }, verify.FieldError{Field: "actor.id", Reason: "missing"}},
		{"long actor id", func(e *daybookv1.Event) { e.Actor.Id = long(513) }, verify.FieldError{Field: "actor.id", Limit: 512, Got: 513, Reason: "too long"}},
		{"no class", func(e *daybookv1.Event) { e.Action.Class = 0 }, verify.FieldError{Field: "action.class", Reason: "missing"}},
		{"no operation", func(e *daybookv1.Event) { e.Action.Operation = "" }, verify.FieldError{Field: "action.operation", Reason: "missing"}},
		{"no decision", func(e *daybookv1.Event) { e.Decision = 0 }, verify.FieldError{Field: "decision", Reason: "missing"}},
		{"new decision", func(e *daybookv1.Event) { e.Decision = 77 }, verify.FieldError{Field: "decision", Got: 77, Reason: "unknown value"}},
		{"no outcome", func(e *daybookv1.Event) { e.Outcome = nil }, verify.FieldError{Field: "outcome", Reason: "missing"}},
		{"no result", func(e *daybookv1.Event) { e.Outcome.Result = 0 }, verify.FieldError{Field: "outcome.result", Reason: "missing"}},
		{"new actor type", func(e *daybookv1.Event) { e.Actor.Type = 9 }, verify.FieldError{Field: "actor.type", Got: 9, Reason: "unknown value"}},
		{"short hmac", func(e *daybookv1.Event) { e.Actor.Credential.HmacSha256 = make([]byte, 31) },
			verify.FieldError{Field: "actor.credential.hmac_sha256", Limit: 32, Got: 31, Reason: "too short"}},
		{"no key id", func(e *daybookv1.Event) { e.Actor.Credential.KeyId = "" }, verify.FieldError{Field: "actor.credential.key_id", Reason: "missing"}},
		{"many delegates", func(e *daybookv1.Event) {
			for range 17 {
				e.Actor.Delegation = append(e.Actor.Delegation, &daybookv1.Delegate{Id: "d"})
			}
		}, verify.FieldError{Field: "actor.delegation", Limit: 16, Got: 17, Reason: "too many"}},
		{"nameless delegate", func(e *daybookv1.Event) {
			e.Actor.Delegation = []*daybookv1.Delegate{{Id: "d"}, {}}
		}, verify.FieldError{Field: "actor.delegation[1].id", Reason: "missing"}},
		{"keyless attribute", func(e *daybookv1.Event) { e.Attributes[1].Key = "" }, verify.FieldError{Field: "attributes[1].key", Reason: "missing"}},
		{"attributes equal", func(e *daybookv1.Event) { e.Attributes[1].Key = "aws.region" }, verify.FieldError{Field: "attributes[1]", Reason: "not ascending"}},
		{"attributes descend", func(e *daybookv1.Event) { e.Attributes[1].Key = "aaa" }, verify.FieldError{Field: "attributes[1]", Reason: "not ascending"}},
		{"long attribute", func(e *daybookv1.Event) { e.Attributes[0].Value = long(4097) },
			verify.FieldError{Field: "attributes[0].value", Limit: 4096, Got: 4097, Reason: "too long"}},
		{"sealed descend", func(e *daybookv1.Event) { e.Actor = &daybookv1.Actor{}; e.Sealed = seals(701, 601) }, verify.FieldError{Field: "sealed[1]", Reason: "not ascending"}},
		{"sealed and present", func(e *daybookv1.Event) { e.Sealed = seals(701) }, verify.FieldError{Field: "sealed[0].field", Got: 701, Reason: "sealed and present"}},
		{"sealed whole and present", func(e *daybookv1.Event) { e.Sealed = seals(7) }, verify.FieldError{Field: "sealed[0].field", Got: 7, Reason: "sealed and present"}},
		{"sealed domain", func(e *daybookv1.Event) { e.Source.Domain = ""; e.Sealed = seals(501) }, verify.FieldError{Field: "sealed[0].field", Got: 501, Reason: "not allowed"}},
		{"sealed value present", func(e *daybookv1.Event) { e.Sealed = seals(1501) }, verify.FieldError{Field: "sealed[0].field", Got: 1501, Reason: "sealed and present"}},
		{"sealed no attribute", func(e *daybookv1.Event) { e.Sealed = seals(1502) }, verify.FieldError{Field: "sealed[0].field", Got: 1502, Reason: "not allowed"}},
		{"another missing", func(e *daybookv1.Event) { e.Actor.Id, e.Action.Operation = "", ""; e.Sealed = seals(701) }, verify.FieldError{Field: "action.operation", Reason: "missing"}},
		{"short commitment", func(e *daybookv1.Event) { e.Sealed = seals(1701); e.Sealed[0].Commitment = []byte{1} },
			verify.FieldError{Field: "sealed[0].commitment", Limit: 32, Got: 1, Reason: "too short"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := sampleEvent()
			tc.spoil(e)
			_, err := verify.ParseEvent(marshal(t, e))
			var got *verify.FieldError
			if !errors.As(err, &got) {
				t.Fatalf("error %v, want a FieldError", err)
			}
			if diff := cmp.Diff(tc.want, *got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func seals(fields ...uint32) []*daybookv1.Sealed {
	var out []*daybookv1.Sealed
	for _, f := range fields {
		out = append(out, &daybookv1.Sealed{Field: f, Commitment: make([]byte, 32)})
	}
	return out
}

func TestParseEventSealed(t *testing.T) {
	for _, tc := range []struct {
		name string
		seal func(*daybookv1.Event)
	}{
		{"actor id", func(e *daybookv1.Event) { e.Actor.Id = ""; e.Sealed = seals(701) }},
		{"actor whole", func(e *daybookv1.Event) { e.Actor = nil; e.Sealed = seals(7) }},
		{"several", func(e *daybookv1.Event) {
			e.Actor.Id, e.Target.Resource, e.Action.Operation, e.Attributes[0].Value = "", "", "", ""
			e.Sealed = seals(603, 701, 802, 1500)
		}},
		{"optional field", func(e *daybookv1.Event) { e.Authorization = nil; e.Sealed = seals(9) }},
		{"field of an absent message", func(e *daybookv1.Event) { e.Authorization = nil; e.Sealed = seals(907) }},
		{"field of a later schema", func(e *daybookv1.Event) { e.Sealed = seals(2203) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := sampleEvent()
			tc.seal(e)
			got, err := verify.ParseEvent(marshal(t, e))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(fieldsOf(e), got); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

// minimalEvent has nothing but what is required, in raw bytes.
func minimalEvent(t testing.TB) []byte {
	t.Helper()
	return marshal(t, &daybookv1.Event{EventId: []byte{1}, OccurredAtNs: 1, Source: &daybookv1.Source{Domain: "a"},
		Target: &daybookv1.Target{Domain: "b"}, Actor: &daybookv1.Actor{Id: "unknown"},
		Action:   &daybookv1.Action{Class: daybookv1.ActionClass_ACTION_CLASS_UNKNOWN, Operation: "o"},
		Decision: daybookv1.Decision_DECISION_UNKNOWN, Outcome: &daybookv1.Outcome{Result: daybookv1.OutcomeResult_OUTCOME_RESULT_UNKNOWN}})
}

// TestParseEventGrammar puts bytes that protobuf takes, or nearly, into a good
// event at some offset: 0 is before event_id, 12 after occurred_at_ns, -1 the
// end.
func TestParseEventGrammar(t *testing.T) {
	const notMinimal = "varint cut short, not minimal or too large"
	field := func(num protowire.Number, typ protowire.Type, value ...byte) []byte {
		return append(protowire.AppendTag(nil, num, typ), value...)
	}
	for _, tc := range []struct {
		name          string
		at            int
		insert        []byte
		field, reason string
	}{
		{"repeated singular", 0, field(1, 2, 1, 'x'), "event_id", "singular field repeated"},
		{"out of order", -1, field(3, 2, 2, 8, 1), "clock", "out of order after field number 11"},
		{"known after unknown", -1, append(field(100, 0, 1), field(12, 2, 1, 'c')...), "correlation_id", "out of order after field number 100"},
		{"tag not minimal", -1, []byte{0xe2, 0x00, 1, 'c'}, "tag", notMinimal},
		{"length not minimal", -1, []byte{0x62, 0x81, 0x00, 'c'}, "correlation_id", notMinimal},
		{"value not minimal", 12, []byte{0x1a, 3, 8, 0x81, 0x00}, "clock.uncertainty_ns", notMinimal},
		{"value over 64 bits", -1, append(field(17, 2, 12, 24), bytes.Repeat([]byte{0xff}, 11)...), "original.record", notMinimal},
		{"enum over 32 bits", 12, append([]byte{0x20}, 0xff, 0xff, 0xff, 0xff, 0x0f), "side", "number out of range"},
		{"wrong wire type", -1, field(12, 0, 1), "correlation_id", "wire type 0, want 2"},
		{"group", -1, append(field(100, 3), field(100, 4)...), "100", "wire type 3"},
		{"wire type 7", -1, field(100, 7), "100", "wire type 7"},
		{"field number 0", -1, []byte{0x02, 0}, "", "field number 0"},
		{"length past the end", -1, field(12, 2, 9, 'c'), "correlation_id", "length past the end"},
		{"empty string written", -1, field(12, 2, 0), "correlation_id", "zero value written"},
		{"zero scalar written", -1, field(17, 2, 2, 24, 0), "original.record", "zero value written"},
		{"zero enum written", 12, []byte{0x20, 0}, "side", "zero value written"},
		{"empty key written", -1, append(field(12, 2, 1, 'c'), 0x7a, 2, 0x0a, 0), "attributes[0].key", "zero value written"},
		{"unknown cut short", -1, field(100, 1, 1, 2, 3), "100", "cut short"},
		{"tag alone", -1, []byte{0x62}, "correlation_id", notMinimal},
		{"field number over 29 bits", -1, []byte{0x82, 0x80, 0x80, 0x80, 0x10, 1}, "tag", notMinimal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := minimalEvent(t)
			if tc.at < 0 {
				tc.at = len(b)
			}
			b = slices.Insert(b, tc.at, tc.insert...)
			_, err := verify.ParseEvent(b)
			var got *verify.GrammarError
			if !errors.As(err, &got) {
				t.Fatalf("error %v, want a GrammarError", err)
			}
			if got.Field != tc.field || got.Reason != tc.reason {
				t.Errorf("error %v, want field %q reason %q", got, tc.field, tc.reason)
			}
		})
	}
}

func TestParseEventUnknownFields(t *testing.T) {
	unknown := func(n int) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, 100, protowire.BytesType), make([]byte, n))
	}
	b := append(minimalEvent(t), unknown(4091)...)
	got, err := verify.ParseEvent(b)
	if err != nil || got.UnknownBytes != 4095 {
		t.Errorf("%d unknown bytes, error %v", got.UnknownBytes, err)
	}
	// 17 original {100: 1}: unknown fields of inner messages count too.
	inner := []byte{0x8a, 0x01, 3, 0xa0, 0x06, 1}
	if got, err = verify.ParseEvent(append(minimalEvent(t), inner...)); err != nil || got.UnknownBytes != 3 {
		t.Errorf("%d unknown bytes in an inner message, error %v", got.UnknownBytes, err)
	}
	_, err = verify.ParseEvent(append(minimalEvent(t), unknown(4094)...))
	var fe *verify.FieldError
	if !errors.As(err, &fe) || fe.Limit != 4096 || fe.Got != 4098 {
		t.Errorf("error %v, want the limit of 4096", err)
	}
}

// TestParseEventUTF8 tries every length and place around the eight bytes that
// are looked at together.
func TestParseEventUTF8(t *testing.T) {
	class := func(v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(minimalEvent(t), 14, protowire.BytesType), v)
	}
	for n := 1; n < 40; n++ {
		for at := range n {
			v := bytes.Repeat([]byte{'a'}, n)
			v[at] = 0xff
			var fe *verify.FieldError
			if _, err := verify.ParseEvent(class(v)); !errors.As(err, &fe) || fe.Field != "retention_class" || fe.Reason != "not UTF-8" {
				t.Fatalf("length %d byte %d: error %v", n, at, err)
			}
			if at+1 < n {
				copy(v[at:], "é")
				if _, err := verify.ParseEvent(class(v)); err != nil {
					t.Fatalf("length %d byte %d: %v", n, at, err)
				}
			}
		}
	}
}

func TestOptionalMayBeZero(t *testing.T) {
	e := sampleEvent()
	no := false
	e.Action.ReadOnly = &no
	if _, err := verify.ParseEvent(marshal(t, e)); err != nil {
		t.Error(err)
	}
}

func BenchmarkParseEvent(b *testing.B) {
	event := marshal(b, sampleEvent())
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verify.ParseEvent(event); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzParseEvent: what ParseEvent takes, protobuf takes too and reads the same
// fields from; and marshalling it again gives the same bytes, so there is one
// encoding of each event.
func FuzzParseEvent(f *testing.F) {
	f.Add(marshal(f, sampleEvent()))
	f.Add(minimalEvent(f))
	sealed := sampleEvent()
	sealed.Actor.Id, sealed.Sealed = "", seals(701, 1701)
	f.Add(marshal(f, sealed))
	f.Add(append(minimalEvent(f), 0xa0, 0x06, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := verify.ParseEvent(b)
		if err != nil {
			return
		}
		var e daybookv1.Event
		if err := proto.Unmarshal(b, &e); err != nil {
			t.Fatalf("protobuf refuses what the scan takes: %v", err)
		}
		want := fieldsOf(&e)
		want.UnknownBytes = got.UnknownBytes
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("fields (-protobuf +scan):\n%s", diff)
		}
		if got.UnknownBytes > 0 {
			return // protobuf-go moves unknown fields to the end of a message
		}
		if again := marshal(t, &e); !bytes.Equal(again, b) {
			t.Fatalf("another encoding of the same event:\n%x\n%x", b, again)
		}
	})
}
