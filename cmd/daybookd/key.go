package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/verify"
)

func newKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "The log's signing key: the card to lodge, a new key, rotation and retirement",
		Long: `The log's signing key is what outsiders know the log by. ` + "`key card`" + ` prints what to
lodge with them before an examination. A key is replaced in four steps, by two
people: new, approve (the other person), rotate, retire. See the guide, ` + "`daybook guide keys`" + `.`,
		Example: `  daybookd key card --data /srv/daybook
  daybookd key new --data /srv/daybook
  daybook approve --key /srv/daybook/keys/0badcafe.vkey
  daybookd key rotate --data /srv/daybook --reason yearly
  daybookd key retire --data /srv/daybook`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q", args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(newKeyCardCommand(), newKeyNewCommand(), newKeyRotateCommand(), newKeyRetireCommand())
	return cmd
}

// A keyCommand holds what the verbs of a key have in common.
type keyCommand struct {
	data, reason string
	compromised  bool
	asJSON       bool
}

func (k *keyCommand) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&k.data, "data", "", "data directory")
	cmd.Flags().BoolVar(&k.asJSON, "json", false, "print one JSON object")
}

// namedKey is what `--json` prints of a key.
type namedKey struct {
	VKey   string   `json:"vkey"`
	SHA256 string   `json:"sha256"` // hex
	Words  []string `json:"words"`
}

func nameKey(vkey string) (namedKey, error) {
	sum, err := verify.VKeyFingerprint(vkey)
	return namedKey{vkey, fmt.Sprintf("%x", sum), verify.FingerprintWords(sum)}, err
}

// print writes a key for people.
func (n namedKey) print(w io.Writer) {
	fmt.Fprintf(w, "key         %s\nsha256      %s\nwords       %s\n", n.VKey, n.SHA256, strings.Join(n.Words, " "))
}

func newKeyNewCommand() *cobra.Command {
	var k keyCommand
	cmd := &cobra.Command{
		Use:   "new --data DIR",
		Short: "Make the key that is to take over; it signs nothing yet",
		Long: `new makes a signing key in DIR/keys. It signs nothing before another person has
approved it and ` + "`daybookd key rotate`" + ` has put it into the log. Read its words to that
person over the telephone, or hand the .vkey file over; the .key file never leaves
this machine but for a backup that is kept apart from the store.`,
		Example: `  daybookd key new --data /srv/daybook`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dataFlag(k.data)
			if err != nil {
				return err
			}
			_, present, err := keyring{dir}.present()
			if err != nil {
				return err
			}
			origin, err := verify.VKeyOrigin(present)
			if err != nil {
				return err
			}
			vkey, err := keyring{dir}.make(origin)
			if err != nil {
				return err
			}
			n, err := nameKey(vkey)
			if err != nil {
				return err
			}
			if k.asJSON {
				return printJSON(cmd.OutOrStdout(), n)
			}
			n.print(cmd.OutOrStdout())
			_, file := dir.Key(keyID(vkey))
			fmt.Fprintf(cmd.ErrOrStderr(), "\nIt signs nothing yet. Next, another person, who compares the words:\n\n  daybook approve --key %s\n\nthen\n\n  daybookd key rotate --data %s --reason TEXT\n", file, dir)
			return nil
		},
	}
	k.flags(cmd)
	return cmd
}

func newKeyRotateCommand() *cobra.Command {
	var k keyCommand
	var key string
	cmd := &cobra.Command{
		Use:   "rotate --data DIR [--key ID] --reason TEXT",
		Short: "Have an approved key take over; the one before signs beside it until it is retired",
		Long: `rotate has the server of DIR put the rotation into the log. Another person must have
approved the key. From the entry on every checkpoint carries both signatures, so that
who knows the old key reads on, and programs take over the new one by themselves.

--compromised is for a key that is in other hands: it signs nothing more, and what it
alone has signed is not believed. Nobody can follow by the old key then: hand a new
key card to everybody who holds the old one, first to producers, who put the new key
into their profiles. What is in the log stays proven by it, and by every receipt whose
checkpoint is a prefix of what the new key signs.

Nothing is lost where it fails: run it again.`,
		Example: `  daybookd key rotate --data /srv/daybook --reason yearly
  daybookd key rotate --data /srv/daybook --key 0badcafe --compromised --reason "backup tape stolen"`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dataFlag(k.data)
			if err != nil {
				return err
			}
			if k.reason == "" {
				return usagef("--reason is missing: it stands in the log")
			}
			return k.rotate(cmd, dir, key)
		},
	}
	k.flags(cmd)
	cmd.Flags().StringVar(&key, "key", "", "`id` of the key in DIR/keys, or its vkey (default: the only one that the log has not had)")
	cmd.Flags().StringVar(&k.reason, "reason", "", "why, in words")
	cmd.Flags().BoolVar(&k.compromised, "compromised", false, "the present key is in other hands: no overlap")
	return cmd
}

func (k *keyCommand) rotate(cmd *cobra.Command, dir datadir.Dir, key string) error {
	vkey, err := k.chosen(dir, key)
	if err != nil {
		return err
	}
	var r *apiv1.RotateKeyResponse
	err = askAdmin(cmd.Context(), dir, func(ctx context.Context, c apiv1.AdminServiceClient) (err error) {
		r, err = c.RotateKey(ctx, &apiv1.RotateKeyRequest{Vkey: vkey, Reason: k.reason, Compromised: k.compromised})
		return err
	})
	if err != nil {
		return err
	}
	if err := (keyring{dir}).settle(vkey); err != nil {
		return err
	}
	if k.asJSON {
		return printJSON(cmd.OutOrStdout(), map[string]any{"index": r.GetIndex(), "vkey": vkey, "compromised": k.compromised})
	}
	next := "both keys sign now. Lodge a new card (`daybookd key card`), have " +
		"everybody who checks receipts take over the new key, then run `daybookd key retire`"
	if k.compromised {
		next = "the old key signs no more. Hand a new card to everybody who holds the old one, and put the new key into the producers' profiles"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "rotated     entry %d\nkey         %s\nnext        %s\n", r.GetIndex(), vkey, next)
	return err
}

// chosen returns the key to rotate to.
func (k *keyCommand) chosen(dir datadir.Dir, key string) (string, error) {
	ring := keyring{dir}
	if strings.Contains(key, "+") {
		return key, nil
	}
	if key != "" {
		_, file := dir.Key(key)
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("no key %s: %w", key, err)
		}
		return strings.TrimSpace(string(b)), nil
	}
	all, err := ring.all()
	if err != nil {
		return "", err
	}
	var fresh []string
	for _, vkey := range all[1:] {
		signer, _ := dir.Key(keyID(vkey))
		if _, err := os.Stat(signer); err == nil { // the log's first key lies elsewhere
			fresh = append(fresh, vkey)
		}
	}
	switch len(fresh) {
	case 0:
		return "", fmt.Errorf("%s has no key that could take over: make one with `daybookd key new --data %s`", dir.Keys(), dir)
	case 1:
		return fresh[0], nil
	}
	return "", usagef("%s has %d keys that could take over: name one with --key", dir.Keys(), len(fresh))
}

func newKeyRetireCommand() *cobra.Command {
	var k keyCommand
	var keep bool
	cmd := &cobra.Command{
		Use:   "retire --data DIR [--reason TEXT]",
		Short: "End the overlap: the old key signs no more, and is destroyed here",
		Long: `retire has the server of DIR put the end of the old key into the log, and then
removes the old key's file. Receipts and checkpoints that it signed stay valid. Destroy
its backups too: whoever held a copy could show a forged log to somebody who has never
heard of the new key. The entry keeps a checkpoint that both keys signed, by which even
they can follow.

Nothing is lost where it fails: run it again.`,
		Example: `  daybookd key retire --data /srv/daybook --reason "all auditors have the new card"`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dataFlag(k.data)
			if err != nil {
				return err
			}
			return k.retire(cmd, dir, keep)
		},
	}
	k.flags(cmd)
	cmd.Flags().StringVar(&k.reason, "reason", "", "why, in words")
	cmd.Flags().BoolVar(&k.compromised, "compromised", false, "the old key is in other hands: what it alone has signed is not believed")
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the old key's file where it is")
	return cmd
}

func (k *keyCommand) retire(cmd *cobra.Command, dir datadir.Dir, keep bool) error {
	var r *apiv1.RetireKeyResponse
	err := askAdmin(cmd.Context(), dir, func(ctx context.Context, c apiv1.AdminServiceClient) (err error) {
		r, err = c.RetireKey(ctx, &apiv1.RetireKeyRequest{Reason: k.reason, Compromised: k.compromised})
		return err
	})
	if err != nil {
		return err
	}
	removed := "nothing: --keep"
	if !keep {
		if removed, err = (keyring{dir}).destroy(r.GetVkey()); err != nil {
			return fmt.Errorf("the key is retired by entry %d, but its file is here yet: remove it yourself: %w", r.GetIndex(), err)
		}
	}
	if k.asJSON {
		return printJSON(cmd.OutOrStdout(), map[string]any{"index": r.GetIndex(), "vkey": r.GetVkey(), "removed": removed})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "retired     entry %d\nkey         %s\nremoved     %s\nnext        destroy its backups, and lodge a new card (`daybookd key card`)\n", r.GetIndex(), r.GetVkey(), removed)
	return err
}

// askAdmin asks the server of a directory something.
func askAdmin(ctx context.Context, dir datadir.Dir, ask func(context.Context, apiv1.AdminServiceClient) error) (err error) {
	engine, err := openStopped(dir)
	if err == nil {
		return errors.Join(fmt.Errorf("nobody serves %s: start it with `daybookd serve --data %s`, then run this again", dir, dir), engine.Close())
	}
	if !isServed(err) {
		return err
	}
	conn, err := dialAdmin(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	if err := ask(ctx, apiv1.NewAdminServiceClient(conn)); err != nil {
		return adminError(dir, err)
	}
	return nil
}
