//go:build unix

package main

import (
	"io/fs"
	"slices"
	"syscall"
)

// readInto reads a file into b, which it may replace by a larger one. It asks the
// kernel directly: what os does for a file that may be watched or shared costs
// more than reading a small one.
func readInto(b []byte, name string) ([]byte, error) {
	fd, err := again(func() (int, error) { return syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0) })
	if err != nil {
		return b, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer syscall.Close(fd)
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, max(8192, cap(b)))
		}
		n, err := again(func() (int, error) { return syscall.Read(fd, b[len(b):cap(b)]) })
		if err != nil {
			return b, &fs.PathError{Op: "read", Path: name, Err: err}
		}
		if n == 0 {
			return b, nil
		}
		b = b[:len(b)+n]
	}
}

// again calls until no signal interrupts the call.
func again(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != syscall.EINTR {
			return n, err
		}
	}
}
