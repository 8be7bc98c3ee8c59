package server

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// bufferSizes are finer than gRPC's default tiers (256 B, 4 KiB, 16 KiB,
// 32 KiB, 1 MiB): there a batch of 100 events, 55 KB, is handed a buffer of
// 1 MiB, which is cleared each time.
var bufferSizes = []int{
	256, 1 << 10, 4 << 10, 8 << 10, 16 << 10, 24 << 10, 32 << 10, 48 << 10, 64 << 10,
	96 << 10, 128 << 10, 192 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20,
}

// buffers is the pool of every connection and of the codec. It is safe for
// concurrent use.
var buffers = mem.NewTieredBufferPool(bufferSizes...)

// codec is gRPC's protobuf codec with two differences: it takes its buffers
// from our pool, and it decodes batches of events by hand (decode.go), with one
// allocation for all items in place of two for each.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(grpcproto.Name)} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	return marshalPooled(m)
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	decode, ok := batchDecoder(v)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	// The items alias this copy, which the garbage collector frees when the
	// ledger has let go of them: the pool's buffer cannot be kept that long.
	if err := decode(data.Materialize()); err != nil {
		return fmt.Errorf("decoding a batch: %w", err)
	}
	return nil
}
