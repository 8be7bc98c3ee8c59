//go:build e2e

package ledger_test

// How far apart the tried operations, crashes and flipped bytes are.
const (
	closeFaultStride = 1
	faultStride      = 1
	crashStride      = 1
	flipStride       = 1
)
