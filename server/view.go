package server

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// viewOf decodes an entry for reading. Its entry bytes alias the input. The
// input comes from the log: that it does not parse is an integrity fault.
func viewOf(index uint64, entry []byte) (*apiv1.EntryView, error) {
	parsed, err := verify.ParseEntry(entry)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", index, err)
	}
	view := &apiv1.EntryView{Index: index, Entry: entry, Head: new(daybookv1.BatchHead), Place: new(daybookv1.EntryHead)}
	if err := proto.Unmarshal(parsed.HeadBytes, view.Head); err != nil {
		return nil, fmt.Errorf("batch head of entry %d: %w", index, err)
	}
	if err := proto.Unmarshal(parsed.PlaceBytes, view.Place); err != nil {
		return nil, fmt.Errorf("entry head of entry %d: %w", index, err)
	}
	if err := setBody(view, parsed.Place.Kind, parsed.Body); err != nil {
		return nil, fmt.Errorf("body of entry %d: %w", index, err)
	}
	return view, nil
}

// view is viewOf with the judgement.
func (s *query) view(index uint64, entry []byte) (*apiv1.EntryView, error) {
	view, err := viewOf(index, entry)
	if err != nil {
		return nil, err
	}
	if err := s.judge(view); err != nil {
		return nil, fmt.Errorf("judgement of entry %d: %w", index, err)
	}
	return view, nil
}

// setBody decodes the message that the kind names. A kind of a newer version
// leaves the body unset: its bytes are in the entry.
func setBody(view *apiv1.EntryView, kind daybookv1.Kind, body []byte) error {
	field := view.ProtoReflect().Descriptor().Fields().ByNumber(bodyField[kind])
	if field == nil {
		return nil
	}
	value := view.ProtoReflect().NewField(field)
	if err := proto.Unmarshal(body, value.Message().Interface()); err != nil {
		return err
	}
	view.ProtoReflect().Set(field, value)
	return nil
}

// bodyField is the field of EntryView that shows the body of a kind.
var bodyField = map[daybookv1.Kind]protoreflect.FieldNumber{
	daybookv1.Kind_KIND_ACCESS:        5,
	daybookv1.Kind_KIND_DECLINED:      6,
	daybookv1.Kind_KIND_GAP:           7,
	daybookv1.Kind_KIND_ORIGIN_OPENED: 8,
	daybookv1.Kind_KIND_RUN_OPENED:    9,
	daybookv1.Kind_KIND_RUN_RESUMED:   10,
	daybookv1.Kind_KIND_RUN_HEARTBEAT: 11,
	daybookv1.Kind_KIND_RUN_ENDED:     12,
	daybookv1.Kind_KIND_DOMAIN_MAP:    13,
	daybookv1.Kind_KIND_APPROVAL:      14,
	daybookv1.Kind_KIND_REVOCATION:    15,
	daybookv1.Kind_KIND_ALERT:         16,
	daybookv1.Kind_KIND_CLOSE:         17,
	daybookv1.Kind_KIND_ACTIVITY:      18,
	daybookv1.Kind_KIND_KEY_ROTATION:  19,
	daybookv1.Kind_KIND_SUCCESSION:    20,
	daybookv1.Kind_KIND_HOLD:          21,
	daybookv1.Kind_KIND_RELEASE:       22,
	daybookv1.Kind_KIND_DISPOSAL:      23,
	daybookv1.Kind_KIND_PART:          24,
}
