//go:build e2e

package ledger_test

// How far apart the tried operations, crashes and flipped bytes are. Around closes
// there are thousands of operations in four modes: every one would take an hour.
const (
	closeFaultStride = 7
	faultStride      = 1
	crashStride      = 1
	flipStride       = 1
)
