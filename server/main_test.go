package server_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain checks that every server, stream and reader has ended with its test.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
