package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/verify"
)

// demoServer is the server that the demo runs: the same as `serve --dev` on free
// ports, but that it reports only what is wrong.
type demoServer struct {
	*runningServer
	end context.CancelFunc
}

// startDemoServer makes the log where there is none, and serves it.
func startDemoServer(ctx context.Context, data string, stderr io.Writer) (*demoServer, error) {
	dir, err := datadir.Clean(data)
	if err != nil {
		return nil, err
	}
	const free = "127.0.0.1:0"
	ctx, end := context.WithCancel(ctx)
	s, err := startServer(ctx, serveOptions{
		Dir: dir, Dev: true, Stderr: warnings{stderr},
		Listen: config.Listen{Ingest: free, Query: free, QueryHTTP: free, Admin: free, Public: free, Operations: free},
	})
	if err != nil {
		end()
		return nil, err
	}
	return &demoServer{s, end}, nil
}

// stop ends the server in the orderly way.
func (s *demoServer) stop() error {
	s.end()
	return s.Wait()
}

// dial returns a client with the profile of the directory.
func (s *demoServer) dial() (*client.Client, error) {
	profile, err := client.LoadProfile(s.Dir.Profile())
	if err != nil {
		return nil, err
	}
	c := profile.Config()
	c.Software = "daybookd demo " + version()
	return client.Dial(c)
}

// receipts is the folder of receipt files, beside the directory.
func (s *demoServer) receipts() string { return string(s.Dir) + ".receipts" }

// policy is the file that tells an examiner whose signature counts.
func (s *demoServer) policy() string { return filepath.Join(s.receipts(), "policy") }

// writePolicy writes the policy file.
func (s *demoServer) writePolicy() error {
	if err := os.MkdirAll(s.receipts(), 0o755); err != nil {
		return err
	}
	return os.WriteFile(s.policy(), []byte(verify.FormatPolicy(s.VKey)), 0o644)
}

// quoted returns a path as a shell takes it.
func quoted(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// warnings passes on what is not merely informative, nor an alert: the story shows
// those.
type warnings struct{ w io.Writer }

func (w warnings) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(`"level":"INFO"`)) || bytes.Contains(line, []byte(`"level":"DEBUG"`)) || bytes.Contains(line, []byte(`"msg":"alert"`)) {
		return len(line), nil
	}
	return w.w.Write(line)
}
