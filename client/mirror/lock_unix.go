//go:build unix

package mirror

import (
	"os"
	"syscall"
)

// lockFile takes the lock of a file for as long as it is open.
func lockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
