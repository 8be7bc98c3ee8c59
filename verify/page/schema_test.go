package page_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

var update = flag.Bool("update", false, "write what is generated")

// roots are the messages that a bundle has bytes of, with all in them.
var roots = []proto.Message{
	&daybookv1.BatchHead{}, &daybookv1.EntryHead{}, &daybookv1.Event{}, &daybookv1.OriginOpened{}, &daybookv1.Declined{},
	&daybookv1.Gap{}, &daybookv1.RunOpened{}, &daybookv1.RunResumed{}, &daybookv1.RunHeartbeat{}, &daybookv1.RunEnded{},
	&daybookv1.DomainMap{}, &daybookv1.Approval{}, &daybookv1.Revocation{}, &daybookv1.Alert{}, &daybookv1.Close{},
	&daybookv1.Activity{}, &daybookv1.KeyRotation{}, &daybookv1.Succession{}, &daybookv1.Hold{}, &daybookv1.Release{},
	&daybookv1.Disposal{}, &daybookv1.Part{}, &daybookv1.MapDocument{},
}

// ascending lists the repeated fields whose elements must ascend strictly, and
// by what: a key, or a number.
var ascending = map[protoreflect.FullName]string{
	"daybook.v1.Event.attributes":      "key",
	"daybook.v1.Event.sealed":          "field",
	"daybook.v1.Close.kinds":           "value",
	"daybook.v1.Close.verdicts":        "value",
	"daybook.v1.Close.alerts":          "value",
	"daybook.v1.DomainMap.approvals":   "self",
	"daybook.v1.Alert.entries":         "self",
	"daybook.v1.KeyRotation.approvals": "self",
	"daybook.v1.Succession.approvals":  "self",
	"daybook.v1.Release.approvals":     "self",
	"daybook.v1.Disposal.approvals":    "self",
	"daybook.v1.Flow.observers":        "self",
}

type field struct {
	Number   int    `json:"number"`
	Name     string `json:"name"`
	Kind     string `json:"kind"` // of protobuf, such as `sfixed64`
	Type     string `json:"type,omitempty"`
	Required bool   `json:"required,omitempty"`
	Optional bool   `json:"optional,omitempty"` // a zero value may be written
	Repeated bool   `json:"repeated,omitempty"`
	Packed   bool   `json:"packed,omitempty"`
	Ascends  string `json:"ascends,omitempty"`
	Min      uint32 `json:"min,omitempty"`
	Max      uint32 `json:"max,omitempty"`
	Items    uint32 `json:"items,omitempty"`
}

type schema struct {
	Messages map[string][]field  `json:"messages"`
	Enums    map[string][]string `json:"enums"` // the words, by number
}

func (s *schema) add(md protoreflect.MessageDescriptor) {
	name := string(md.Name())
	if s.Messages[name] != nil {
		return
	}
	s.Messages[name] = []field{}
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		limits := proto.GetExtension(fd.Options(), daybookv1.E_Limits).(*daybookv1.FieldLimits)
		f := field{Number: int(fd.Number()), Name: string(fd.Name()), Kind: fd.Kind().String(), Required: limits.GetRequired(),
			Optional: fd.HasPresence(), Repeated: fd.IsList(), Packed: fd.IsPacked(), Ascends: ascending[fd.FullName()],
			Min: limits.GetMin(), Max: limits.GetMax(), Items: limits.GetMaxItems()}
		switch fd.Kind() {
		case protoreflect.EnumKind:
			f.Type = string(fd.Enum().Name())
			s.addEnum(fd.Enum())
		case protoreflect.MessageKind:
			f.Type = string(fd.Message().Name())
			s.add(fd.Message())
		}
		s.Messages[name] = append(s.Messages[name], f)
	}
	slices.SortFunc(s.Messages[name], func(a, b field) int { return a.Number - b.Number })
}

func (s *schema) addEnum(ed protoreflect.EnumDescriptor) {
	prefix := strings.TrimSuffix(string(ed.Values().ByNumber(0).Name()), "UNSPECIFIED")
	words := make([]string, ed.Values().Len())
	for i := range ed.Values().Len() {
		v := ed.Values().Get(i)
		if v.Number() != 0 {
			words[v.Number()] = strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix)), "_", "-")
		}
	}
	s.Enums[string(ed.Name())] = words
}

// schemaIsCurrent compares src/data.js with the schema of this build.
func schemaIsCurrent(t *testing.T) {
	s := schema{map[string][]field{}, map[string][]string{}}
	for _, m := range roots {
		s.add(m.ProtoReflect().Descriptor())
	}
	var out bytes.Buffer
	out.WriteString("// Code generated from proto/daybook/v1 by `go test ./verify/page -update`. DO NOT EDIT.\n\nexport const SCHEMA = ")
	out.Write(schemaText(t, &s))
	out.WriteString(";\n")
	matchFile(t, filepath.Join("src", "data.js"), out.Bytes())
}

// schemaText writes one field a line.
func schemaText(t *testing.T, s *schema) []byte {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range [][2]string{{`{"number"`, "\n  {\"number\""}, {`],"`, "],\n\""}, {`"messages":{`, "\"messages\":{\n"}, {`"enums":{`, "\"enums\":{\n"}} {
		text = bytes.ReplaceAll(text, []byte(r[0]), []byte(r[1]))
	}
	return text
}

// matchFile compares a file with what it should be, or writes it.
func matchFile(t *testing.T, name string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what its sources make: run `go test ./verify/page -update`", name)
	}
}
