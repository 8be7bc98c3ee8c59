package client

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// wireAppend is an AppendRequest; with stream set, the AppendStreamRequest
// around it. Immutable once it is sent.
type wireAppend struct {
	run    []byte
	epoch  uint64
	first  uint64
	items  []Item
	stream bool
}

func (w *wireAppend) size() int {
	n := w.innerSize()
	if w.stream {
		n = 1 + protowire.SizeBytes(n)
	}
	return n
}

func (w *wireAppend) innerSize() int {
	n := 1 + protowire.SizeBytes(len(w.run)) +
		1 + protowire.SizeVarint(w.epoch) + 1 + protowire.SizeVarint(w.first)
	for i := range w.items {
		n += 1 + protowire.SizeBytes(w.items[i].wireSize())
	}
	return n
}

func (w *wireAppend) appendTo(dst []byte) []byte {
	if w.stream {
		dst = protowire.AppendTag(dst, 1, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(w.innerSize()))
	}
	dst = protowire.AppendTag(dst, 1, protowire.BytesType)
	dst = protowire.AppendBytes(dst, w.run)
	dst = protowire.AppendTag(dst, 2, protowire.VarintType)
	dst = protowire.AppendVarint(dst, w.epoch)
	dst = protowire.AppendTag(dst, 3, protowire.VarintType)
	dst = protowire.AppendVarint(dst, w.first)
	for i := range w.items {
		dst = protowire.AppendTag(dst, 4, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(w.items[i].wireSize()))
		dst = w.items[i].wireAppend(dst)
	}
	return dst
}

// wireSize is the size of the item as the message Item.
func (it *Item) wireSize() int {
	n := 1 + protowire.SizeVarint(uint64(it.Kind)) + 1 + protowire.SizeBytes(len(it.Body))
	for i := range it.Openings {
		n += 1 + protowire.SizeBytes(it.Openings[i].wireSize())
	}
	return n
}

func (it *Item) wireAppend(dst []byte) []byte {
	dst = protowire.AppendTag(dst, 1, protowire.VarintType)
	dst = protowire.AppendVarint(dst, uint64(it.Kind))
	dst = protowire.AppendTag(dst, 2, protowire.BytesType)
	dst = protowire.AppendBytes(dst, it.Body)
	for i := range it.Openings {
		o := &it.Openings[i]
		dst = protowire.AppendTag(dst, 3, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(o.wireSize()))
		dst = protowire.AppendTag(dst, 1, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(o.Field))
		dst = protowire.AppendTag(dst, 2, protowire.BytesType)
		dst = protowire.AppendBytes(dst, o.Salt)
		dst = protowire.AppendTag(dst, 3, protowire.BytesType)
		dst = protowire.AppendBytes(dst, o.Value)
	}
	return dst
}

func (o *Opening) wireSize() int {
	return 1 + protowire.SizeVarint(uint64(o.Field)) +
		1 + protowire.SizeBytes(len(o.Salt)) + 1 + protowire.SizeBytes(len(o.Value))
}

// wireReceipt is an AppendResponse, or with stream set an AppendStreamResponse.
// Its slices alias the message.
type wireReceipt struct {
	stream     bool
	first      uint64
	groups     []wireGroup
	checkpoint []byte
}

// wireGroup is a ReceiptGroup.
type wireGroup struct {
	firstIndex uint64
	batchHead  []byte
	entryHeads [][]byte
	proof      []byte
	repeat     bool
}

var errAnswer = errors.New("malformed answer")

func (r *wireReceipt) parse(data []byte) error {
	receiptField := protowire.Number(1)
	if r.stream {
		receiptField = 2
	}
	return fields(data, func(num protowire.Number, n uint64, b []byte) error {
		switch {
		case num == receiptField:
			return r.parseReceipt(b)
		case num == 1:
			r.first = n
		}
		return nil
	})
}

func (r *wireReceipt) parseReceipt(data []byte) error {
	return fields(data, func(num protowire.Number, _ uint64, b []byte) error {
		switch num {
		case 1:
			var g wireGroup
			if err := g.parse(b); err != nil {
				return err
			}
			r.groups = append(r.groups, g)
		case 2:
			r.checkpoint = b
		}
		return nil
	})
}

func (g *wireGroup) parse(data []byte) error {
	return fields(data, func(num protowire.Number, n uint64, b []byte) error {
		switch num {
		case 1:
			g.firstIndex = n
		case 2:
			g.batchHead = b
		case 3:
			g.entryHeads = append(g.entryHeads, b)
		case 4:
			g.proof = b
		case 5:
			g.repeat = n != 0
		}
		return nil
	})
}

// fields walks the fields of a message: a varint comes as n, bytes as b. Bytes
// where a varint belongs, and the reverse, are seen as zero by the caller, whose
// checks of the contents refuse them.
func fields(data []byte, visit func(num protowire.Number, n uint64, b []byte) error) error {
	for len(data) > 0 {
		num, typ, k := protowire.ConsumeTag(data)
		if k < 0 {
			return errAnswer
		}
		data = data[k:]
		var n uint64
		var b []byte
		switch typ {
		case protowire.VarintType:
			n, k = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			b, k = protowire.ConsumeBytes(data)
		default:
			k = protowire.ConsumeFieldValue(num, typ, data)
		}
		if k < 0 {
			return errAnswer
		}
		data = data[k:]
		if err := visit(num, n, b); err != nil {
			return err
		}
	}
	return nil
}
