package bundle

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle/canonical"
)

// Formats of the documents in a bundle.
const (
	formatBundle = "daybook-bundle/v1"
	formatAnswer = "daybook-answer/v1"
)

// Limits of a bundle.
const (
	maxMembers  = 400_000  // of the zip, the manifest aside
	maxManifest = 64 << 20 // bytes
	maxFile     = 1 << 40  // bytes of a bundle
)

// A member is one file of the zip, as the manifest lists it.
type member struct {
	Name   string `json:"name"`
	Size   uint64 `json:"size"`
	SHA256 string `json:"sha256"` // lower-case hex
}

// A manifest lists all members but itself, in their order.
//
//	{
//	  "format": "daybook-bundle/v1",
//	  "origin": "demo.invalid/log-0badcafe",
//	  "files": [
//	    {
//	      "name": "question.json",
//	      "size": 44,
//	      "sha256": "f6b1..."
//	    }
//	  ]
//	}
type manifest struct {
	Format string   `json:"format"`
	Origin string   `json:"origin"`
	Files  []member `json:"files"`
}

func (m *manifest) document() []byte {
	var w canonical.Writer
	w.Open('{')
	w.Key("format")
	w.String(formatBundle)
	w.Key("origin")
	w.String(m.Origin)
	w.Key("files")
	w.Open('[')
	for i := range m.Files {
		f := &m.Files[i]
		w.Open('{')
		w.Key("name")
		w.String(f.Name)
		w.Key("size")
		w.Uint(f.Size)
		w.Key("sha256")
		w.String(f.SHA256)
		w.Close('}')
	}
	w.Close(']')
	w.Close('}')
	return w.Document()
}

func parseManifest(document []byte) (*manifest, error) {
	if err := newer(document, formatBundle); err != nil {
		return nil, err
	}
	m, err := canonical.Parse(document, (*manifest).document)
	if err != nil {
		return nil, err
	}
	if len(m.Files) > maxMembers {
		return nil, fmt.Errorf("%d members, limit %d", len(m.Files), maxMembers)
	}
	for i, f := range m.Files {
		l, _ := lineOf(f.Name)
		if l == 0 {
			return nil, fmt.Errorf("member %.100q is none of this format", f.Name)
		}
		if i > 0 && !m.Files[i-1].before(f) {
			return nil, fmt.Errorf("member %s does not stand in its place", f.Name)
		}
		sum, err := hex.DecodeString(f.SHA256)
		if err != nil || len(sum) != 32 || strings.ToLower(f.SHA256) != f.SHA256 {
			return nil, fmt.Errorf("member %s has no SHA-256", f.Name)
		}
		if f.Size == 0 || f.Size > maxFile {
			return nil, fmt.Errorf("member %s has %d bytes, want 1 to %d", f.Name, f.Size, uint64(maxFile))
		}
	}
	return m, nil
}

// newer says of a document of a later version that it is one.
func newer(document []byte, format string) error {
	const begin = "{\n  \"format\": \""
	rest, ok := strings.CutPrefix(string(document[:min(len(document), 100)]), begin)
	name, _, quoted := strings.Cut(rest, `"`)
	family := strings.TrimSuffix(format, "1")
	if ok && quoted && name != format && strings.HasPrefix(name, family) {
		return fmt.Errorf("format %s: %w", name, verify.ErrNewer)
	}
	return nil
}
