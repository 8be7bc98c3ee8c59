//go:build !unix

package main

import (
	"errors"
	"io"
	"os"
	"slices"
)

// readInto reads a file into b, which it may replace by a larger one.
func readInto(b []byte, name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return b, err
	}
	defer f.Close()
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, max(8192, cap(b)))
		}
		n, err := f.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}
