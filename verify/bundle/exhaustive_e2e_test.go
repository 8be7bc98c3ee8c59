//go:build e2e

package bundle_test

const (
	exhaustive    = true
	manyForgeries = 10_000
)
