//go:build e2e

package ledger_test

// How far apart the tried operations, crashes and flipped bytes are. Around closes
// there are thousands of operations in four modes, and what a process that gave up
// holds stays in memory until the test ends.
const (
	closeFaultStride = 31
	faultStride      = 1
	crashStride      = 1
	flipStride       = 1
)
