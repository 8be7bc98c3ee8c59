package server

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// marshalPooled encodes a message into a buffer of our pool.
func marshalPooled(m proto.Message) (mem.BufferSlice, error) {
	size := proto.Size(m)
	options := proto.MarshalOptions{UseCachedSize: true}
	if mem.IsBelowBufferPoolingThreshold(size) {
		b, err := options.Marshal(m)
		if err != nil {
			return nil, err
		}
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	buf := buffers.Get(size)
	if _, err := options.MarshalAppend((*buf)[:0], m); err != nil {
		buffers.Put(buf)
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(buf, buffers)}, nil
}

// batchDecoder returns the decoder of a message that carries a batch. Decoded
// bytes alias the input.
func batchDecoder(v any) (func([]byte) error, bool) {
	switch m := v.(type) {
	case *apiv1.AppendRequest:
		return func(b []byte) error { m.Reset(); return decodeAppend(b, m) }, true
	case *apiv1.AppendStreamRequest:
		return func(b []byte) error { m.Reset(); return decodeStreamed(b, m) }, true
	}
	return nil, false
}

// eachField calls fn for every field of a message. A varint arrives in number,
// bytes in value, aliasing b; other types are skipped after a check.
func eachField(b []byte, fn func(field protowire.Number, typ protowire.Type, number uint64, value []byte) error) error {
	for len(b) > 0 {
		field, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var number uint64
		var value []byte
		switch typ {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(field, typ, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := fn(field, typ, number, value); err != nil {
			return err
		}
	}
	return nil
}

// decodeStreamed decodes an AppendStreamRequest.
func decodeStreamed(b []byte, m *apiv1.AppendStreamRequest) error {
	return eachField(b, func(field protowire.Number, typ protowire.Type, _ uint64, value []byte) error {
		if field != 1 || typ != protowire.BytesType {
			return nil
		}
		if m.Append == nil {
			m.Append = new(apiv1.AppendRequest)
		}
		return decodeAppend(value, m.Append)
	})
}

// keptItems is one more than a batch may have: enough for the ledger to refuse
// it, while tiny items cannot make a small message large in memory.
const keptItems = verify.MaxBatchItems + 1

// decodeAppend decodes an AppendRequest: the same result as proto.Unmarshal,
// except that unknown fields are dropped, bytes alias b, and only the first
// keptItems items are kept.
func decodeAppend(b []byte, m *apiv1.AppendRequest) error {
	count := 0
	err := eachField(b, func(field protowire.Number, typ protowire.Type, _ uint64, _ []byte) error {
		if field == 4 && typ == protowire.BytesType {
			count++
		}
		return nil
	})
	if err != nil {
		return err
	}
	items := make([]apiv1.Item, min(count, keptItems-len(m.Items)))
	m.Items = append(make([]*apiv1.Item, 0, len(items)+len(m.Items)), m.Items...)
	return eachField(b, func(field protowire.Number, typ protowire.Type, number uint64, value []byte) error {
		switch {
		case field == 1 && typ == protowire.BytesType:
			m.Run = value
		case field == 2 && typ == protowire.VarintType:
			m.Epoch = number
		case field == 3 && typ == protowire.VarintType:
			m.FirstNumber = number
		case field == 4 && typ == protowire.BytesType && len(items) > 0:
			item := &items[0]
			items = items[1:]
			m.Items = append(m.Items, item)
			return decodeItem(value, item)
		}
		return nil
	})
}

func decodeItem(b []byte, item *apiv1.Item) error {
	return eachField(b, func(field protowire.Number, typ protowire.Type, number uint64, value []byte) error {
		switch {
		case field == 1 && typ == protowire.VarintType:
			item.Kind = daybookv1.Kind(number)
		case field == 2 && typ == protowire.BytesType:
			item.Body = value
		case field == 3 && typ == protowire.BytesType:
			opening := new(apiv1.Opening)
			if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(value, opening); err != nil {
				return fmt.Errorf("opening: %w", err)
			}
			item.Openings = append(item.Openings, opening)
		}
		return nil
	})
}
