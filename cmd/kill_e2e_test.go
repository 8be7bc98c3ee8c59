//go:build e2e

package cmd_test

import "testing"

// TestKillFiftyTimes holds the log to its receipts through fifty kills.
func TestKillFiftyTimes(t *testing.T) { killCycles(t, 50) }
