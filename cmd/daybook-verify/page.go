package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/daybook-ledger/daybook/verify/page"
)

var pageVerb = verb{
	name: "page",
	args: "[-o FILE] [--json]",
	does: "write verify.html, which checks an examination file in a browser",
	help: `The page is one file that an examiner opens from a disk: it needs no program, and its
own security policy gives it no network. It is a second implementation of the check:
what it says and what "daybook-verify bundle" says must agree. Without -o only its
SHA-256 is printed: compare it with the one on the log's key card.

A file that is there already is never written over.

Examples:
  daybook-verify page
  daybook-verify page -o verify.html
`,
	run: runPage,
}

func runPage(c *call) (*result, error) {
	if err := c.want(); err != nil {
		return nil, err
	}
	html := page.HTML()
	sum := sha256.Sum256(html)
	digest := hex.EncodeToString(sum[:])
	if c.output != "" {
		if err := writeNew(c.output, html); err != nil {
			return nil, err
		}
	}
	r := &result{version: digest}
	r.claim("page", map[string]any{"sha256": digest, "size": len(html), "file": c.output}, "%s  verify.html", digest)
	return r, nil
}

// writeNew writes a file that is not there yet. After a crash it may be there in
// part: its SHA-256 tells.
func writeNew(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return usagef("%v; nothing was written", err)
	}
	_, err = f.Write(content)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w; delete it and try again", name, err)
	}
	return nil
}
