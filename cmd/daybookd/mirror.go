package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybook-ledger/daybook/client/mirror"
	"github.com/daybook-ledger/daybook/verify"
)

// mirrorOptions are the flags of `daybookd mirror`.
type mirrorOptions struct {
	From, Data       string
	Policy, VKey     string // of the log: a file, a verifier key
	CA               string
	Certificate, Key string // of the client: files
	Token            string // file
	Once, JSON, Keep bool
	Interval         time.Duration
}

// mirrorReport is what `mirror --json` prints.
type mirrorReport struct {
	Origin    string   `json:"origin"`
	Size      uint64   `json:"size"`     // of the copy now
	Previous  uint64   `json:"previous"` // before; 0: there was none
	Root      string   `json:"root"`     // hex
	Witnesses []string `json:"witnesses"`
	Bundles   uint64   `json:"bundles"` // fetched
	Tiles     uint64   `json:"tiles"`
	Bytes     uint64   `json:"bytes"`
	Behind    uint64   `json:"behind"` // size that the source shows, where it is smaller; 0: it is not
	Fork      bool     `json:"fork"`
	Evidence  string   `json:"evidence"` // folder, of a fork
}

func newMirrorCommand() *cobra.Command {
	o := &mirrorOptions{}
	cmd := &cobra.Command{
		Use:   "mirror --from URL --data DIR (--policy FILE | --vkey VKEY)",
		Short: "Keep a verified second copy of a log",
		Long: `Copy the log at URL, its public listener, to DIR, a plain directory of
c2sp.org/tlog-tiles that any program reads. Each step is proved before anything is
replaced: the checkpoint by the policy, that it goes on from the mirrored one, every
entry bundle by the tiles and the root. A step that is cut short goes on from there.

If the log was rewritten, mirroring stops for good: both checkpoints are kept as
evidence in DIR/.mirror/evidence, and the exit code is 1.

A log that was not made with public tiles shows them to the role mirror: give a
client certificate, or a file with a bearer token.`,
		Example: `  daybookd mirror --from https://log.example:7405 --data /srv/copy --policy policy.txt \
    --ca bundle.pem --certificate mirror.pem --key mirror.key
  daybookd mirror --from http://127.0.0.1:7405 --data copy --vkey "$VKEY" --once --json
  daybook-verify log --policy policy.txt /srv/copy`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.From, "from", "", "URL of the log's public listener")
	f.StringVar(&o.Data, "data", "", "directory of the copy")
	f.StringVar(&o.Policy, "policy", "", "file: whom to trust (c2sp.org/tlog-policy)")
	f.StringVar(&o.VKey, "vkey", "", "verifier key of the log, in place of a policy")
	f.StringVar(&o.CA, "ca", "", "PEM file of the CAs of the listener's certificate; default: the system's")
	f.StringVar(&o.Certificate, "certificate", "", "PEM file of the client certificate, chain included")
	f.StringVar(&o.Key, "key", "", "PEM file of its key")
	f.StringVar(&o.Token, "token-file", "", "file with a bearer token, read for each request")
	f.BoolVar(&o.Once, "once", false, "one step, and end")
	f.DurationVar(&o.Interval, "interval", time.Minute, "how often to look for a newer checkpoint")
	f.BoolVar(&o.Keep, "keep-checkpoints", false, "keep each checkpoint, with its cosignatures, in DIR/.mirror/checkpoints")
	f.BoolVar(&o.JSON, "json", false, "print one JSON object, when it ends")
	return cmd
}

// policy is whom to trust.
func (o *mirrorOptions) policy() (*verify.Policy, error) {
	text := []byte(verify.FormatPolicy(o.VKey))
	switch {
	case o.Policy != "" && o.VKey != "" || o.Policy == "" && o.VKey == "":
		return nil, usagef("say whom to trust: --policy FILE, or --vkey with the log's verifier key")
	case o.Policy != "":
		var err error
		if text, err = os.ReadFile(o.Policy); err != nil {
			return nil, fmt.Errorf("reading the policy: %w", err)
		}
	}
	p, err := verify.ParsePolicy(text)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return p, nil
}

// client makes the requests. The client certificate is read for each connection, so
// that a renewed one is used.
func (o *mirrorOptions) client() (*http.Client, error) {
	if (o.Certificate == "") != (o.Key == "") {
		return nil, usagef("a certificate needs its key: give both --certificate and --key")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if o.CA != "" {
		bundle, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("reading the CA: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(bundle) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", o.CA)
		}
	}
	if o.Certificate != "" {
		if _, err := tls.LoadX509KeyPair(o.Certificate, o.Key); err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(o.Certificate, o.Key)
			return &pair, err
		}
	}
	return &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 16}}, nil
}

func (o *mirrorOptions) config(show func(done, total uint64)) (c mirror.Config, err error) {
	c = mirror.Config{From: o.From, Dir: o.Data, Keep: o.Keep, Progress: show}
	if o.Token != "" {
		c.Token = func() (string, error) {
			b, err := os.ReadFile(o.Token)
			return strings.TrimSpace(string(b)), err
		}
	}
	switch {
	case o.From == "" || o.Data == "":
		return c, usagef("give --from URL and --data DIR")
	case o.Interval < time.Second:
		return c, usagef("--interval is at least 1s")
	}
	if c.Policy, err = o.policy(); err == nil {
		c.Client, err = o.client()
	}
	return c, err
}

func (o *mirrorOptions) run(cmd *cobra.Command) (err error) {
	bar := newBar(cmd.ErrOrStderr())
	c, err := o.config(bar.show)
	if err != nil {
		return err
	}
	m, err := mirror.Open(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if o.Once {
		step, err := m.Once(cmd.Context())
		bar.end()
		return o.tell(cmd, step, err)
	}
	var last mirror.Step
	err = m.Run(cmd.Context(), o.Interval, func(step mirror.Step, err error) {
		bar.end()
		if last = step; err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "daybookd: %v\n", err)
			return
		}
		printStep(cmd.ErrOrStderr(), &step)
	})
	if err != nil || o.JSON {
		return o.tell(cmd, last, err)
	}
	return nil
}

// tell prints what a step came to, and what to do about it.
func (o *mirrorOptions) tell(cmd *cobra.Command, s mirror.Step, err error) error {
	var fork *mirror.ForkError
	switch forked := errors.As(err, &fork); {
	case forked:
		err = fmt.Errorf("%w\nshow both to the log's operator and to your examiner, do not use the log further, and keep the copy: it is the history that you were shown first", err)
	case errors.Is(err, mirror.ErrStopped):
		err = fmt.Errorf("%w; keep it and the copy, and mirror to another directory if you must go on", err)
	case errors.Is(err, context.Canceled):
		err = fmt.Errorf("ended before the step was done: the copy is what it was, and what was fetched is used the next time")
	case err != nil:
		err = fmt.Errorf("%w\nthe copy is what it was; what was fetched is used the next time", err)
	}
	if !o.JSON {
		if err == nil {
			printStep(cmd.OutOrStdout(), &s)
		}
		return err
	}
	if err != nil && fork == nil {
		return err
	}
	report := mirrorReport{Origin: s.Origin, Size: s.Size, Previous: s.Before, Root: hex.EncodeToString(s.Root[:]), Witnesses: []string{},
		Bundles: s.Bundles, Tiles: s.Tiles, Bytes: s.Bytes, Behind: s.Behind}
	for _, w := range s.Witnesses {
		report.Witnesses = append(report.Witnesses, w.Name)
	}
	if fork != nil {
		report.Fork, report.Evidence, report.Size = true, fork.Evidence, fork.Kept.Size
	}
	b, failed := json.Marshal(report)
	if failed == nil {
		_, failed = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", b)
	}
	return errors.Join(err, failed)
}

// printStep says in one line how far the copy is.
func printStep(w io.Writer, s *mirror.Step) {
	switch {
	case s.Behind > 0:
		fmt.Fprintf(w, "the source is behind: it shows %d entries, the copy has %d and stays as it is; has it been restored from an older copy?\n", s.Behind, s.Size)
	case s.Before == s.Size:
		fmt.Fprintf(w, "%s: %d entries, nothing new\n", s.Origin, s.Size)
	default:
		fmt.Fprintf(w, "%s: %d entries, %d of them new, proved to go on from what was there; %d bytes in %d bundles and %d tiles\n",
			s.Origin, s.Size, s.Size-s.Before, s.Bytes, s.Bundles, s.Tiles)
	}
}
