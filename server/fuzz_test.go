package server_test

import (
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/google/go-cmp/cmp"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server"
)

// FuzzParsePageToken: what parses formats to the same text, so that no second
// text means the same place.
func FuzzParsePageToken(f *testing.F) {
	f.Add(server.FormatPageToken(server.PageToken{}))
	f.Add("AQUE47DEQpj8HBQ")
	f.Add("AYCAAA")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := server.ParsePageToken(text)
		if err != nil {
			return
		}
		if again := server.FormatPageToken(token); again != text {
			t.Errorf("%q parses, but formats to %q", text, again)
		}
	})
}

// FuzzDecodeBatch compares the decoding of batches by hand with proto.Unmarshal.
func FuzzDecodeBatch(f *testing.F) {
	seed, err := proto.Marshal(&apiv1.AppendRequest{Run: make([]byte, 32), Epoch: 1, FirstNumber: 7, Items: []*apiv1.Item{
		{Body: []byte("one")},
		{Kind: daybookv1.Kind_KIND_GAP, Body: []byte("two"), Openings: []*apiv1.Opening{{Field: 703, Salt: []byte("s"), Value: []byte("v")}}},
		{},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{0x22, 0x00, 0x22, 0x02, 0x12, 0x00, 0x98, 0x06, 0x01})
	f.Add([]byte{0x0a, 0x02, 0x22, 0x00})
	codec := server.NewCodec()
	f.Fuzz(func(t *testing.T, b []byte) {
		compareDecoding(t, codec.Unmarshal, b, new(apiv1.AppendRequest), new(apiv1.AppendRequest))
		compareDecoding(t, codec.Unmarshal, b, new(apiv1.AppendStreamRequest), new(apiv1.AppendStreamRequest))
	})
}

func compareDecoding(t *testing.T, decode func(mem.BufferSlice, any) error, b []byte, got, want proto.Message) {
	t.Helper()
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, want); err != nil {
		return // by hand a little more is taken: unknown fields are not looked into
	}
	if err := decode(mem.BufferSlice{mem.SliceBuffer(b)}, got); err != nil {
		t.Fatalf("refused %x: %v", b, err)
	}
	if !proto.Equal(got, want) {
		t.Fatalf("decoded %x as\n%v, want\n%v", b, got, want)
	}
}

func TestDecodingKeepsOneItemTooManyAtMost(t *testing.T) {
	r := new(apiv1.AppendRequest)
	for range 10000 {
		r.Items = append(r.Items, &apiv1.Item{})
	}
	b, err := proto.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	got := new(apiv1.AppendRequest)
	if err := server.NewCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(4097, len(got.Items)); diff != "" {
		t.Errorf("items kept (-want +got):\n%s", diff)
	}
}
