//go:build !e2e

package bundle_test

const (
	exhaustive    = false // not every bit
	manyForgeries = 2000  // at random
)
