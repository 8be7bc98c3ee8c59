package report

import (
	"io"
	"testing"
)

type nowhere struct{}

func (nowhere) Create(string) (io.WriteCloser, error) { return nowhere{}, nil }
func (nowhere) Write(p []byte) (int, error)           { return len(p), nil }
func (nowhere) Close() error                          { return nil }

// BenchmarkAnswer words one access after the other, parsed already.
func BenchmarkAnswer(b *testing.B) {
	in := fullScene(b)
	w, err := NewWriter(in.head(b), nowhere{})
	if err != nil {
		b.Fatal(err)
	}
	a := in.Answers[1].parse(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Answer(a); err != nil {
			b.Fatal(err)
		}
	}
}
