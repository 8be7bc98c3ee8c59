package client

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// buffers is the pool behind every message: powers of two, so that a message
// of 55 KB does not take, and clear, a buffer of 1 MB as in grpc's own pool.
var buffers = mustPool(8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22)

func mustPool(exponents ...uint8) mem.BufferPool {
	pool, err := mem.NewBinaryTieredBufferPool(exponents...)
	if err != nil {
		panic("client: bad pool sizes: " + err.Error())
	}
	return pool
}

// codec is grpc's protobuf codec, with two differences: it takes its buffers
// from our pool, and it knows appends and their answers, which it writes and
// reads without an object for each item.
type codec struct{}

// wireMessage is a message that is written by hand.
type wireMessage interface {
	size() int
	appendTo(dst []byte) []byte
}

// wireAnswer is a message that is read by hand. It keeps data.
type wireAnswer interface {
	parse(data []byte) error
}

// Name says that the messages are protobuf: so they are, however written.
func (codec) Name() string { return "proto" }

// Marshal writes one message into a pooled buffer.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case wireMessage:
		buf := buffers.Get(m.size())
		*buf = m.appendTo((*buf)[:0])
		return mem.BufferSlice{mem.NewBuffer(buf, buffers)}, nil
	case proto.Message:
		buf := buffers.Get(proto.Size(m))
		out, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend((*buf)[:0], m)
		if err != nil {
			buffers.Put(buf)
			return nil, err
		}
		*buf = out
		return mem.BufferSlice{mem.NewBuffer(buf, buffers)}, nil
	}
	return nil, fmt.Errorf("marshalling %T: not a message", v)
}

// Unmarshal reads one message.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case wireAnswer:
		return m.parse(data.Materialize())
	case proto.Message:
		buf := data.MaterializeToBuffer(buffers)
		defer buf.Free()
		return proto.Unmarshal(buf.ReadOnlyData(), m)
	}
	return fmt.Errorf("unmarshalling %T: not a message", v)
}
