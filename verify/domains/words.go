package domains

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// words are the words of an enum as files and people write them.
type words struct {
	names   []string         // in the order of their numbers, without 0
	numbers map[string]int32 // by name
}

// The words and limits of the map file, from the descriptors of its messages.
var (
	tiers   = wordsOf(daybookv1.Tier(0))
	risks   = wordsOf(daybookv1.Risk(0))
	modes   = wordsOf(daybookv1.FlowMode(0))
	proofs  = wordsOf(daybookv1.SourceProof(0))
	sides   = wordsOf(daybookv1.Side(0))
	classes = wordsOf(daybookv1.ActionClass(0))

	documentLimits = limitsOf(new(daybookv1.MapDocument))
	domainLimits   = limitsOf(new(daybookv1.Domain))
	hostingLimits  = limitsOf(new(daybookv1.Hosting))
	issuerLimits   = limitsOf(new(daybookv1.Issuer))
	producerLimits = limitsOf(new(daybookv1.ExpectedProducer))
	flowLimits     = limitsOf(new(daybookv1.Flow))
	personLimits   = limitsOf(new(daybookv1.Person))
)

// Word returns the word by which files and people call the value of an enum:
// `peer-certificate` for SOURCE_PROOF_PEER_CERTIFICATE, `production` for
// TIER_PRODUCTION. It is empty for 0, and the number in digits for a value that
// is not known.
func Word(e protoreflect.Enum) string {
	n := e.Number()
	if n == 0 {
		return ""
	}
	v := e.Descriptor().Values().ByNumber(n)
	if v == nil {
		return fmt.Sprint(int32(n))
	}
	return word(v, prefixOf(e.Descriptor()))
}

// wordsOf returns the words of an enum.
func wordsOf(e protoreflect.Enum) *words {
	w := &words{numbers: map[string]int32{}}
	values, prefix := e.Descriptor().Values(), prefixOf(e.Descriptor())
	for i := range values.Len() {
		if v := values.Get(i); v.Number() != 0 {
			name := word(v, prefix)
			w.names = append(w.names, name)
			w.numbers[name] = int32(v.Number())
		}
	}
	return w
}

// prefixOf returns what the names of an enum's values begin with.
func prefixOf(d protoreflect.EnumDescriptor) string {
	return strings.TrimSuffix(string(d.Values().ByNumber(0).Name()), "UNSPECIFIED")
}

func word(v protoreflect.EnumValueDescriptor, prefix string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix)), "_", "-")
}

// list names the words for a message.
func (w *words) list() string { return strings.Join(w.names, ", ") }

// limitsOf returns the limits of a message's fields by name.
func limitsOf(m proto.Message) map[string]*daybookv1.FieldLimits {
	fields := m.ProtoReflect().Descriptor().Fields()
	out := make(map[string]*daybookv1.FieldLimits, fields.Len())
	for i := range fields.Len() {
		fd := fields.Get(i)
		out[string(fd.Name())] = proto.GetExtension(fd.Options(), daybookv1.E_Limits).(*daybookv1.FieldLimits)
	}
	return out
}
