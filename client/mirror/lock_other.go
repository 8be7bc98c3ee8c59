//go:build !unix

package mirror

import "os"

// lockFile does nothing here: one process at a time is up to who starts it.
func lockFile(*os.File) error { return nil }
