package config_test

import (
	"bytes"
	"log/slog"
	"testing"
)

// stringOf logs one line through h and returns what it wrote to out.
func stringOf(t *testing.T, h slog.Handler, out *bytes.Buffer) string {
	t.Helper()
	slog.New(h).Info("a line", "key", "value")
	return out.String()
}
