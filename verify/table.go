package verify

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// Wire types of protobuf. Groups (3, 4) are never valid here.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// maxDepth is how deep messages may nest. The tables of all our messages are
// shallower, which is checked when they are built.
const maxDepth = 8

type fieldKind uint8

const (
	kindNone fieldKind = iota // no field has this number
	kindUint32
	kindUint64
	kindBool
	kindEnum
	kindSint64
	kindFixed64
	kindString
	kindBytes
	kindMessage
	kindPacked // repeated uint64
)

// fieldTable is what the scanner knows of one field.
type fieldTable struct {
	kind     fieldKind
	wire     uint8
	slot     uint8 // where the value is captured; 0: nowhere
	explicit bool  // has presence: a zero value may be written
	repeated bool  // one element per occurrence
	order    uint8 // how elements ascend: orderNone, orderKey, orderNumber
	min, max uint32
	// low and high bound the first byte of a value that short reads; none where low
	// is above high.
	low, high uint8
	items     uint32 // most elements
	enumMax   uint32 // largest known value
	sub       *messageTable
	name      string
}

const (
	orderNone   = iota
	orderKey    // messages, by the bytes captured in slotKey
	orderNumber // messages by the number captured in slotKeyNumber, or packed numbers
)

// messageTable is what the scanner knows of one message.
type messageTable struct {
	fields   []fieldTable // by field number
	required uint64       // bit n: field n must be present
}

// ascending lists the repeated fields whose elements must ascend strictly.
var ascending = map[protoreflect.FullName]uint8{
	"daybook.v1.Event.attributes":      orderKey,
	"daybook.v1.Event.sealed":          orderNumber,
	"daybook.v1.Close.kinds":           orderNumber,
	"daybook.v1.Close.verdicts":        orderNumber,
	"daybook.v1.Close.alerts":          orderNumber,
	"daybook.v1.DomainMap.approvals":   orderNumber,
	"daybook.v1.Alert.entries":         orderNumber,
	"daybook.v1.KeyRotation.approvals": orderNumber,
	"daybook.v1.Succession.approvals":  orderNumber,
	"daybook.v1.Release.approvals":     orderNumber,
	"daybook.v1.Disposal.approvals":    orderNumber,
	"daybook.v1.Flow.observers":        orderNumber,
}

var (
	batchHeadTable = buildTable((&daybookv1.BatchHead{}).ProtoReflect().Descriptor(), 1)
	entryHeadTable = buildTable((&daybookv1.EntryHead{}).ProtoReflect().Descriptor(), 1)
	eventTable     = buildTable((&daybookv1.Event{}).ProtoReflect().Descriptor(), 1)

	mapTable = buildTable((&daybookv1.MapDocument{}).ProtoReflect().Descriptor(), 1)

	// bodyTables holds the message that each kind names.
	bodyTables = map[daybookv1.Kind]*messageTable{
		daybookv1.Kind_KIND_ORIGIN_OPENED: buildTable((&daybookv1.OriginOpened{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_ACCESS:        eventTable,
		daybookv1.Kind_KIND_DECLINED:      buildTable((&daybookv1.Declined{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_GAP:           buildTable((&daybookv1.Gap{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_RUN_OPENED:    buildTable((&daybookv1.RunOpened{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_RUN_RESUMED:   buildTable((&daybookv1.RunResumed{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_RUN_HEARTBEAT: buildTable((&daybookv1.RunHeartbeat{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_RUN_ENDED:     buildTable((&daybookv1.RunEnded{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_DOMAIN_MAP:    buildTable((&daybookv1.DomainMap{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_APPROVAL:      buildTable((&daybookv1.Approval{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_REVOCATION:    buildTable((&daybookv1.Revocation{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_ALERT:         buildTable((&daybookv1.Alert{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_CLOSE:         buildTable((&daybookv1.Close{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_ACTIVITY:      buildTable((&daybookv1.Activity{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_KEY_ROTATION:  buildTable((&daybookv1.KeyRotation{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_SUCCESSION:    buildTable((&daybookv1.Succession{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_HOLD:          buildTable((&daybookv1.Hold{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_RELEASE:       buildTable((&daybookv1.Release{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_DISPOSAL:      buildTable((&daybookv1.Disposal{}).ProtoReflect().Descriptor(), 1),
		daybookv1.Kind_KIND_PART:          buildTable((&daybookv1.Part{}).ProtoReflect().Descriptor(), 1),
	}
)

// buildTable makes the table of a message from its descriptor. It panics where
// the schema uses what the scanner does not know: that cannot happen with the
// schema this package was compiled with, as a test shows.
func buildTable(md protoreflect.MessageDescriptor, depth int) *messageTable {
	if depth > maxDepth {
		panic(fmt.Sprintf("verify: %s nests deeper than %d", md.FullName(), maxDepth))
	}
	fields := md.Fields()
	largest := 0
	for i := range fields.Len() {
		largest = max(largest, int(fields.Get(i).Number()))
	}
	if largest > 63 {
		panic(fmt.Sprintf("verify: %s has field number %d", md.FullName(), largest))
	}
	m := &messageTable{fields: make([]fieldTable, largest+1)}
	for i := range fields.Len() {
		fd := fields.Get(i)
		f := buildField(fd, depth)
		limits := proto.GetExtension(fd.Options(), daybookv1.E_Limits).(*daybookv1.FieldLimits)
		f.min, f.max, f.items = limits.GetMin(), limits.GetMax(), limits.GetMaxItems()
		if limits.GetRequired() {
			m.required |= 1 << fd.Number()
		}
		f.low, f.high = f.shortest()
		m.fields[fd.Number()] = f
	}
	return m
}

// shortest bounds the first byte of the values that scanner.short reads.
func (f *fieldTable) shortest() (low, high uint8) {
	const oneByte = 0x7f
	switch {
	case f.repeated:
		return 1, 0
	case f.kind == kindString || f.kind == kindBytes:
		low, high = uint8(min(f.min, oneByte)), oneByte
		if f.max != 0 {
			high = uint8(min(f.max, oneByte))
		}
		if f.explicit {
			return low, high
		}
		return max(low, 1), high
	case f.kind == kindBool:
		return 1, 1
	case f.kind == kindEnum:
		return 1, uint8(min(f.enumMax, oneByte))
	case f.wire == wireVarint:
		return 1, oneByte
	}
	return 1, 0
}

func buildField(fd protoreflect.FieldDescriptor, depth int) fieldTable {
	f := fieldTable{
		name:     string(fd.Name()),
		explicit: fd.HasPresence(),
		repeated: fd.IsList(),
		order:    ascending[fd.FullName()],
		slot:     slots[fd.FullName()],
	}
	if fd.IsList() && fd.Kind() == protoreflect.Uint64Kind && fd.IsPacked() {
		f.kind, f.wire, f.repeated = kindPacked, wireBytes, false
		return f
	}
	switch fd.Kind() {
	case protoreflect.Uint32Kind:
		f.kind, f.wire = kindUint32, wireVarint
	case protoreflect.Uint64Kind:
		f.kind, f.wire = kindUint64, wireVarint
	case protoreflect.BoolKind:
		f.kind, f.wire = kindBool, wireVarint
	case protoreflect.EnumKind:
		f.kind, f.wire, f.enumMax = kindEnum, wireVarint, uint32(fd.Enum().Values().Len()-1)
		for v := range fd.Enum().Values().Len() {
			if int(fd.Enum().Values().Get(v).Number()) != v {
				panic(fmt.Sprintf("verify: the values of %s are not 0, 1, 2, ...", fd.Enum().FullName()))
			}
		}
	case protoreflect.Sint64Kind:
		f.kind, f.wire = kindSint64, wireVarint
	case protoreflect.Sfixed64Kind:
		f.kind, f.wire = kindFixed64, wireFixed64
	case protoreflect.StringKind:
		f.kind, f.wire = kindString, wireBytes
	case protoreflect.BytesKind:
		f.kind, f.wire = kindBytes, wireBytes
	case protoreflect.MessageKind:
		f.kind, f.wire, f.sub = kindMessage, wireBytes, buildTable(fd.Message(), depth+1)
	}
	if f.kind == kindNone || fd.IsMap() || fd.IsList() && f.wire != wireBytes {
		panic(fmt.Sprintf("verify: field %s is of a type the grammar does not have", fd.FullName()))
	}
	return f
}
