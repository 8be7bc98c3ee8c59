package client

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
)

// The hand-written messages are held against the generated ones: this test is
// inside the package because they are not exported.

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, r.IntN(n+1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestAppendIsTheMessage: what is written by hand is the AppendRequest.
func TestAppendIsTheMessage(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 500 {
		w := &wireAppend{run: randomBytes(r, 32), epoch: r.Uint64() >> r.IntN(64), first: r.Uint64() >> r.IntN(64), stream: i%2 == 0}
		want := &apiv1.AppendRequest{Run: w.run, Epoch: w.epoch, FirstNumber: w.first}
		for range r.IntN(5) {
			it := Item{Kind: daybookv1.Kind(r.IntN(5)), Body: randomBytes(r, 300)}
			m := &apiv1.Item{Kind: it.Kind, Body: it.Body}
			for range r.IntN(3) {
				o := Opening{Field: r.Uint32() >> r.IntN(32), Salt: randomBytes(r, 32), Value: randomBytes(r, 200)}
				it.Openings = append(it.Openings, o)
				m.Openings = append(m.Openings, &apiv1.Opening{Field: o.Field, Salt: o.Salt, Value: o.Value})
			}
			w.items = append(w.items, it)
			want.Items = append(want.Items, m)
		}
		data := w.appendTo(nil)
		if len(data) != w.size() {
			t.Fatalf("size says %d bytes, %d are written", w.size(), len(data))
		}
		var got proto.Message = new(apiv1.AppendRequest)
		var expected proto.Message = want
		if w.stream {
			got, expected = new(apiv1.AppendStreamRequest), &apiv1.AppendStreamRequest{Append: want}
		}
		if err := proto.Unmarshal(data, got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(expected, got, protocmp.Transform(), protocmp.FilterField(new(apiv1.Item), "body", cmp.Comparer(sameBytes))); diff != "" {
			t.Fatalf("message (-want +got):\n%s", diff)
		}
	}
}

func sameBytes(a, b []byte) bool { return string(a) == string(b) }

// TestReceiptIsTheMessage: what is read by hand is the answer.
func TestReceiptIsTheMessage(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		m := &apiv1.Receipt{Checkpoint: randomBytes(r, 200)}
		for range r.IntN(4) {
			g := &apiv1.ReceiptGroup{FirstIndex: r.Uint64() >> r.IntN(64), BatchHead: randomBytes(r, 90), Proof: randomBytes(r, 500), Repeat: r.IntN(2) == 0}
			for range r.IntN(9) {
				g.EntryHeads = append(g.EntryHeads, randomBytes(r, 60))
			}
			m.Groups = append(m.Groups, g)
		}
		first := r.Uint64()
		for stream, answer := range map[bool]proto.Message{
			false: &apiv1.AppendResponse{Receipt: m}, true: &apiv1.AppendStreamResponse{FirstNumber: first, Receipt: m},
		} {
			data, err := codec{}.Marshal(answer)
			if err != nil {
				t.Fatal(err)
			}
			got := &wireReceipt{stream: stream}
			if err := (codec{}).Unmarshal(data, got); err != nil {
				t.Fatal(err)
			}
			want := fromMessage(m)
			if stream {
				want.first = first
			}
			want.stream = stream
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(wireReceipt{}, wireGroup{}), cmp.Comparer(sameBytes)); diff != "" {
				t.Fatalf("stream %v (-want +got):\n%s", stream, diff)
			}
		}
	}
}

// FuzzReceipt: no answer panics. What it accepts and generated code too is
// checked in full by what comes after; here, that no half hash passes.
func FuzzReceipt(f *testing.F) {
	m := &apiv1.AppendResponse{Receipt: &apiv1.Receipt{Checkpoint: []byte("c"), Groups: []*apiv1.ReceiptGroup{
		{FirstIndex: 7, BatchHead: []byte("h"), EntryHeads: [][]byte{[]byte("a"), {}}, Proof: []byte("p"), Repeat: true}}}}
	data, err := proto.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		got := new(wireReceipt)
		if err := (codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, got); err != nil {
			return
		}
		for _, g := range got.groups {
			if _, err := splitHashes(g.proof); err == nil && len(g.proof)%32 != 0 {
				t.Error("half a hash was accepted")
			}
		}
	})
}

// TestCodecRefusesStrangers: the codec is for messages only.
func TestCodecRefusesStrangers(t *testing.T) {
	if _, err := (codec{}).Marshal("text"); err == nil {
		t.Error("marshalled a string")
	}
	if err := (codec{}).Unmarshal(nil, new(int)); err == nil {
		t.Error("unmarshalled into an int")
	}
	for _, data := range [][]byte{{0xff}, {0x0a, 5, 1}, {0x0a, 2, 0x0a, 9}, {0x08}} {
		if err := new(wireReceipt).parse(data); err == nil {
			t.Errorf("parsed %x", data)
		}
	}
}
