package client

import (
	"fmt"
	"os"
	"path/filepath"
)

// ForkError says that the log signed two checkpoints that cannot both be true
// of one append-only log, or does not show that they can. It carries both: they
// are the evidence, and anybody with the log's key can check them.
type ForkError struct {
	// Reason in words.
	Reason string
	// Older and Newer are the signed notes, by size. One of them may be empty
	// where the log itself reports the fork and shows no checkpoint.
	Older, Newer []byte
	// Proof is the consistency proof that the log gave and that does not hold;
	// empty where it gave none.
	Proof []byte
}

func (e *ForkError) Error() string { return "the log is forked: " + e.Reason }

// WriteEvidence writes the evidence into dir, made where it is missing:
// older.checkpoint, newer.checkpoint, and, where there is one, consistency.proof
// (32-byte hashes). It returns the paths written.
func (e *ForkError) WriteEvidence(dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("writing evidence: %w", err)
	}
	var paths []string
	for _, f := range []struct {
		name string
		data []byte
	}{{"older.checkpoint", e.Older}, {"newer.checkpoint", e.Newer}, {"consistency.proof", e.Proof}} {
		if len(f.data) == 0 {
			continue
		}
		path := filepath.Join(dir, f.name)
		if err := replaceFile(path, f.data); err != nil {
			return paths, fmt.Errorf("writing evidence: %w", err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}
