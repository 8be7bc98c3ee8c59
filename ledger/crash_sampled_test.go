//go:build !e2e

package ledger_test

// How far apart the tried operations, crashes and flipped bytes are.
const (
	closeFaultStride = 211
	faultStride      = 17
	crashStride      = 7
	flipStride       = 37
)
