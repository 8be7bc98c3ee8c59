package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // for the two forms of the card
	"encoding/hex"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/template"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/verify"
)

// The two forms of the card.
var (
	//go:embed card.txt
	cardText string
	//go:embed card.html
	cardHTML string
)

// A card is what outsiders must know of a log before they are shown anything of
// it.
type card struct {
	Origin     string         `json:"origin"`
	Demo       bool           `json:"demo"`
	Date       string         `json:"date"` // RFC 3339 in UTC
	Version    string         `json:"version"`
	Keys       []cardKey      `json:"keys"` // that sign now, the present one first
	Witnesses  []cardKey      `json:"witnesses"`
	Verifiers  []verifierFile `json:"verifiers"`
	Size       uint64         `json:"size"`
	Checkpoint string         `json:"checkpoint"` // signed note
}

// A cardKey is a key with its title.
type cardKey struct {
	Title string `json:"title"`
	namedKey
}

// A verifierFile is a program that checks, by the sum of its bytes.
type verifierFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // hex
}

func newKeyCardCommand() *cobra.Command {
	var data, out, policy string
	var verifiers []string
	var html, asJSON bool
	cmd := &cobra.Command{
		Use:   "card --data DIR [-o FILE] [--html]",
		Short: "Print the page to lodge with regulator, officer and auditor before an examination",
		Long: `card prints one page with the log's origin, its keys and those of its witnesses with
fingerprints in words, the SHA-256 sums of the verifying programs, and the newest
checkpoint, whose signature it has checked. Lodged with people who do not depend on
your word, it is what an examination file is later held against.`,
		Example: `  daybookd key card --data /srv/daybook
  daybookd key card --data /srv/daybook --html -o card.html --policy policy.txt --verifier daybook-verify.exe --verifier daybook-verify`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dataFlag(data)
			if err != nil {
				return err
			}
			c, err := readCard(cmd.Context(), dir, policy, verifiers)
			if err != nil {
				return err
			}
			page, err := c.form(html, asJSON)
			if err != nil {
				return err
			}
			if out != "" {
				return datadir.WriteFile(out, page, 0o644)
			}
			_, err = cmd.OutOrStdout().Write(page)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&data, "data", "", "data directory")
	f.StringVarP(&out, "output", "o", "", "write it to this `file`")
	f.BoolVar(&html, "html", false, "as a page to print from a browser")
	f.StringVar(&policy, "policy", "", "a policy `file` (c2sp tlog-policy) whose witnesses are named on the card")
	f.StringArrayVar(&verifiers, "verifier", nil, "a verifying program's `file`; may be given again (default: daybook-verify beside this program, where it is there)")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// readCard collects what the card says.
func readCard(ctx context.Context, dir datadir.Dir, policy string, verifiers []string) (c card, err error) {
	vkeys, text, err := newestSigned(ctx, dir)
	if err != nil {
		return c, err
	}
	checkpoint, err := openUnder(vkeys[0], text)
	if err != nil {
		return c, fmt.Errorf("the newest checkpoint is not signed with the present key; serve the log once, so that it writes a newer one: %w", err)
	}
	c = card{Origin: checkpoint.Origin, Demo: isDemo(text), Date: time.Now().UTC().Format(time.RFC3339), Version: version(),
		Witnesses: []cardKey{}, Size: checkpoint.Size, Checkpoint: string(text)}
	for i, vkey := range vkeys {
		title := "PRESENT KEY OF THE LOG"
		if i > 0 {
			title = "KEY BEFORE: it signs too until it is retired"
		}
		n, err := nameKey(vkey)
		if err != nil {
			return c, err
		}
		c.Keys = append(c.Keys, cardKey{title, n})
	}
	if policy != "" {
		if c.Witnesses, err = policyWitnesses(policy); err != nil {
			return c, err
		}
	}
	c.Verifiers, err = verifierFiles(verifiers)
	return c, err
}

// openUnder opens a checkpoint under one key.
func openUnder(vkey string, text []byte) (verify.Checkpoint, error) {
	p, err := verify.ParsePolicy([]byte(verify.FormatPolicy(vkey)))
	if err != nil {
		return verify.Checkpoint{}, err
	}
	return p.OpenCheckpoint(text)
}

// newestSigned returns the verifier keys that sign, the present one first, and the
// newest checkpoint: the server's, or where nobody serves, the anchor.
func newestSigned(ctx context.Context, dir datadir.Dir) (vkeys []string, checkpoint []byte, err error) {
	engine, err := openStopped(dir)
	if isServed(err) {
		var r *apiv1.GetStatusResponse
		err := askAdmin(ctx, dir, func(ctx context.Context, c apiv1.AdminServiceClient) (err error) {
			r, err = c.GetStatus(ctx, &apiv1.GetStatusRequest{})
			return err
		})
		if err == nil && len(r.GetCheckpoint()) == 0 {
			err = fmt.Errorf("the log is shut and signs nothing: %s", r.GetShut())
		}
		return r.GetVkeys(), r.GetCheckpoint(), err
	}
	if err != nil {
		return nil, nil, err
	}
	if err := engine.Close(); err != nil {
		return nil, nil, err
	}
	checkpoint, err = ledger.FileAnchor(dir.Anchor()).Load()
	if err == nil && checkpoint == nil {
		err = fmt.Errorf("%s is missing: serve the log once, so that it writes its newest checkpoint there", dir.Anchor())
	}
	if err != nil {
		return nil, nil, err
	}
	all, err := keyring{dir}.all()
	if err != nil {
		return nil, nil, err
	}
	vkeys = all[:1]
	for _, vkey := range all[1:] {
		if _, err := openUnder(vkey, checkpoint); err == nil {
			vkeys = append(vkeys, vkey)
		}
	}
	return vkeys, checkpoint, nil
}

// policyWitnesses names the keys of a policy's witnesses.
func policyWitnesses(path string) ([]cardKey, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		_, err = verify.ParsePolicy(text)
	}
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", path, err)
	}
	list := []cardKey{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) >= 3 && fields[0] == "witness" {
			n, err := nameKey(fields[2])
			if err != nil {
				return nil, fmt.Errorf("policy %s: %w", path, err)
			}
			list = append(list, cardKey{fields[1], n})
		}
	}
	return list, nil
}

// verifierFiles sums the files of verifying programs; of none, that of the
// daybook-verify beside this program.
func verifierFiles(paths []string) ([]verifierFile, error) {
	optional := len(paths) == 0
	if optional {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		name := "daybook-verify"
		if runtime.GOOS == "windows" {
			name += ".exe"
		}
		paths = []string{filepath.Join(filepath.Dir(self), name)}
	}
	list := []verifierFile{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && optional {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("verifier: %w", err)
		}
		sum := sha256.Sum256(b)
		list = append(list, verifierFile{filepath.Base(path), hex.EncodeToString(sum[:])})
	}
	return list, nil
}

// form prints the card in one of its forms.
func (c card) form(html, asJSON bool) ([]byte, error) {
	var b bytes.Buffer
	if asJSON {
		err := printJSON(&b, c)
		return b.Bytes(), err
	}
	if html {
		t, err := htmltemplate.New("card").Parse(cardHTML)
		if err == nil {
			err = t.Execute(&b, c)
		}
		return b.Bytes(), err
	}
	t, err := template.New("card").Funcs(template.FuncMap{"line": wordLine}).Parse(cardText)
	if err == nil {
		err = t.Execute(&b, c)
	}
	return b.Bytes(), err
}

// wordLine is one line of four words, in columns.
func wordLine(words []string, n int) string {
	line := ""
	for _, w := range words[4*n : 4*n+4] {
		line += fmt.Sprintf("%-11s", w)
	}
	return strings.TrimSpace(line)
}
