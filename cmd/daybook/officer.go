package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/daybook-ledger/daybook/client"
	"github.com/daybook-ledger/daybook/client/officer"
)

func newOfficerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "officer",
		Short: "Keep a production officer's credential",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newOfficerSealCommand())
	return cmd
}

func newOfficerSealCommand() *cobra.Command {
	var certificate, key, out, passphraseFile string
	cmd := &cobra.Command{
		Use:   "seal --certificate FILE --key FILE -o FILE",
		Short: "Put certificate and key into one file under a passphrase",
		Long: `Put a certificate and its key into one age file under a passphrase. Whoever has
file and passphrase reads as the production officer with --officer FILE, without
the log's operator. Keep the two apart, and the key nowhere else.`,
		Example: `  daybook officer seal --certificate officer.pem --key officer.key -o officer.age
  daybook list --officer officer.age --limit 10`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if certificate == "" || key == "" || out == "" {
				return usagef("name --certificate, --key and -o")
			}
			passphrase, err := readPassphrase(cmd, passphraseFile)
			if err != nil {
				return err
			}
			certificatePEM, err := os.ReadFile(certificate)
			if err != nil {
				return fmt.Errorf("reading the certificate: %w", err)
			}
			keyPEM, err := os.ReadFile(key)
			if err != nil {
				return fmt.Errorf("reading the key: %w", err)
			}
			file, err := officer.Seal(certificatePEM, keyPEM, passphrase)
			if err != nil {
				return err
			}
			return writeSealed(out, file)
		},
	}
	f := cmd.Flags()
	f.StringVar(&certificate, "certificate", "", "the officer's certificate `file`, PEM")
	f.StringVar(&key, "key", "", "its key `file`, PEM")
	f.StringVarP(&out, "output", "o", "", "`file` to write; it must not be there")
	f.StringVar(&passphraseFile, "passphrase-file", "", "`file` with the passphrase (default: ask on the terminal)")
	return cmd
}

// writeSealed writes a file that is not there yet. After a crash it may be there in
// part: then it does not open, and is to be removed and written again.
func writeSealed(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing the sealed file: %w", err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing the sealed file: %w", err)
	}
	return nil
}

// readPassphrase reads a passphrase from a file, without its line end, or from the
// terminal.
func readPassphrase(cmd *cobra.Command, file string) (string, error) {
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("reading the passphrase: %w", err)
		}
		return strings.TrimRight(string(b), "\r\n"), nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return "", usagef("no terminal to ask for the passphrase on: name a file with --passphrase-file")
	}
	fmt.Fprint(cmd.ErrOrStderr(), "passphrase: ")
	b, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(cmd.ErrOrStderr())
	if err != nil {
		return "", fmt.Errorf("reading the passphrase: %w", err)
	}
	return string(b), nil
}

// asOfficer makes a client's configuration that of a sealed credential. The key
// stays in memory.
func asOfficer(cmd *cobra.Command, cfg *client.Config, file, passphraseFile string) error {
	sealed, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the officer's credential: %w", err)
	}
	passphrase, err := readPassphrase(cmd, passphraseFile)
	if err != nil {
		return err
	}
	certificate, key, err := officer.Open(sealed, passphrase)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	cfg.Certificate, cfg.Key = file, file
	cfg.Pair = func() ([]byte, []byte, error) { return certificate, key, nil }
	return nil
}
