package main

import (
	"bytes"
	"context"
	_ "embed" // for the two forms of the card
	"errors"
	"fmt"
	htmltemplate "html/template"
	"os"
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
	Archived   bool           `json:"archived"`   // the log keeps it for ever
}

// cardOptions are what its command line says.
type cardOptions struct {
	data, config, policy string
	verifiers            []string
}

// A cardKey is a key with its title.
type cardKey struct {
	Title string `json:"title"`
	namedKey
}

func newKeyCardCommand() *cobra.Command {
	var out string
	var o cardOptions
	var html, asJSON bool
	cmd := &cobra.Command{
		Use:   "card --data DIR [-o FILE] [--html]",
		Short: "Print the page to lodge with regulator, officer and auditor before an examination",
		Long: `card prints one page with the log's origin, its keys and those of its witnesses with
fingerprints in words, the SHA-256 sums of the verifying programs, and the newest
checkpoint, whose signature it has checked and which the log keeps in its archive;
where nobody serves the log, the newest that it has there. Lodged with people who do
not depend on your word, the card is what an examination file is later held against.

The witnesses are those of the configuration, the verifiers verify.html, which is in
this program, and the daybook-verify beside it. Name those for other machines with
--verifier: they are added. Beside each stands the command by which anybody makes the
same bytes from the source, or a caution where it was not built by that.`,
		Example: `  daybookd key card --data /srv/daybook
  daybookd key card --data /srv/daybook --html -o card.html --verifier windows/daybook-verify.exe --verifier darwin/daybook-verify`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dataFlag(o.data)
			if err != nil {
				return err
			}
			c, err := readCard(cmd.Context(), dir, o)
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
	f.StringVar(&o.data, "data", "", "data directory")
	f.StringVar(&o.config, "config", "", "configuration `file` that names the witnesses (default DIR/config.yaml where there is one)")
	f.StringVarP(&out, "output", "o", "", "write it to this `file`")
	f.BoolVar(&html, "html", false, "as a page to print from a browser")
	f.StringVar(&o.policy, "policy", "", "a policy `file` (c2sp tlog-policy) whose witnesses are named, in place of the configuration's")
	f.StringArrayVar(&o.verifiers, "verifier", nil, "a further verifying program's `file`; may be given again")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// readCard collects what the card says.
func readCard(ctx context.Context, dir datadir.Dir, o cardOptions) (c card, err error) {
	vkeys, text, kept, err := newestSigned(ctx, dir)
	if err != nil {
		return c, err
	}
	checkpoint, err := openUnder(vkeys[0], text)
	if err != nil {
		return c, fmt.Errorf("the newest checkpoint is not signed with the present key; serve the log once, so that it writes a newer one: %w", err)
	}
	c = card{Origin: checkpoint.Origin, Demo: isDemo(text), Date: time.Now().UTC().Format(time.RFC3339), Version: version(),
		Witnesses: []cardKey{}, Size: checkpoint.Size, Checkpoint: string(text), Archived: kept}
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
	if c.Witnesses, err = cardWitnesses(dir, o, vkeys[0]); err != nil {
		return c, err
	}
	c.Verifiers, err = verifierFiles(o.verifiers)
	return c, err
}

// openUnder opens a checkpoint under one key.
func openUnder(vkey string, text []byte) (verify.Checkpoint, error) {
	p, err := verify.KeyPolicy(vkey)
	if err != nil {
		return verify.Checkpoint{}, err
	}
	return p.OpenCheckpoint(text)
}

// newestSigned returns the verifier keys that sign, the present one first, and a
// checkpoint: the server's newest, which it archives, or where nobody serves, the
// newest archived one under the present key, and without any the anchor. kept tells
// that it is archived.
func newestSigned(ctx context.Context, dir datadir.Dir) (vkeys []string, checkpoint []byte, kept bool, err error) {
	engine, err := openStopped(dir)
	if isServed(err) {
		vkeys, checkpoint, err = archivedByServer(ctx, dir)
		return vkeys, checkpoint, err == nil, err
	}
	if err != nil {
		return nil, nil, false, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	checkpoint, err = ledger.FileAnchor(dir.Anchor()).Load()
	if err == nil && checkpoint == nil {
		err = fmt.Errorf("%s is missing: serve the log once, so that it writes its newest checkpoint there", dir.Anchor())
	}
	if err != nil {
		return nil, nil, false, err
	}
	all, err := keyring{dir}.all()
	if err != nil {
		return nil, nil, false, err
	}
	vkeys = all[:1]
	for _, vkey := range all[1:] {
		if _, err := openUnder(vkey, checkpoint); err == nil {
			vkeys = append(vkeys, vkey)
		}
	}
	archived, err := ledger.NewestArchived(engine, 0, func(note []byte) bool {
		_, err := openUnder(vkeys[0], note)
		return err == nil
	})
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return vkeys, checkpoint, false, nil
	case err != nil:
		return nil, nil, false, err
	}
	return vkeys, archived.Note, true, nil
}

// archivedByServer has the server of a directory archive its newest checkpoint.
func archivedByServer(ctx context.Context, dir datadir.Dir) (vkeys []string, checkpoint []byte, err error) {
	err = askAdmin(ctx, dir, func(ctx context.Context, c apiv1.AdminServiceClient) error {
		st, err := c.GetStatus(ctx, &apiv1.GetStatusRequest{})
		if err != nil {
			return err
		}
		if st.GetShut() != "" && len(st.GetCheckpoint()) == 0 {
			return fmt.Errorf("the log is shut and signs nothing: %s", st.GetShut())
		}
		a, err := c.ArchiveCheckpoint(ctx, &apiv1.ArchiveCheckpointRequest{})
		vkeys, checkpoint = st.GetVkeys(), a.GetCheckpoint()
		return err
	})
	return vkeys, checkpoint, err
}

// cardWitnesses names the keys of the witnesses, of the policy that is given or else
// of the configured one.
func cardWitnesses(dir datadir.Dir, o cardOptions, vkey string) ([]cardKey, error) {
	var policy *verify.Policy
	if o.policy != "" {
		text, err := os.ReadFile(o.policy)
		if err == nil {
			policy, err = verify.ParsePolicy(text)
		}
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", o.policy, err)
		}
	} else {
		authority, err := openAuthority(dir)
		if err != nil {
			return nil, err
		}
		c, err := loadConfig(serveOptions{Dir: dir, Config: o.config}, authority.Domain())
		if err != nil {
			return nil, err
		}
		if _, policy, err = readPolicy(c, vkey); err != nil {
			return nil, err
		}
	}
	list := []cardKey{}
	if policy == nil {
		return list, nil
	}
	for _, w := range policy.Witnesses() {
		n, err := nameKey(w.VKey)
		if err != nil {
			return nil, fmt.Errorf("witness %s: %w", w.Name, err)
		}
		list = append(list, cardKey{w.Name, n})
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
	t, err := template.New("card").Funcs(template.FuncMap{"line": wordLine, "wrap": wrapped}).Parse(cardText)
	if err == nil {
		err = t.Execute(&b, c)
	}
	return b.Bytes(), err
}

// wrapped breaks a command, or a sentence with one at its end, into lines that a
// shell joins again.
func wrapped(text string) string {
	for _, at := range []string{" go build ", " ./cmd/"} {
		if i := strings.LastIndex(text, at); i > 0 {
			text = text[:i] + " \\\n            " + text[i+1:]
		}
	}
	return strings.Replace(text, ": GOTOOLCHAIN", ":\n            GOTOOLCHAIN", 1)
}

// wordLine is one line of four words, in columns.
func wordLine(words []string, n int) string {
	line := ""
	for _, w := range words[4*n : 4*n+4] {
		line += fmt.Sprintf("%-11s", w)
	}
	return strings.TrimSpace(line)
}
