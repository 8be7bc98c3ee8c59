package witness

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/daybook-ledger/daybook/verify"
)

// A Policy is a c2sp.org/tlog-policy with its text.
type Policy struct {
	*verify.Policy
	Text string // as it is handed to those who check the log's checkpoints
}

// ReadPolicy reads the policy of a log with that verifier key, which must be among
// the text's `log` lines; where there is none, one is put before. A policy that asks
// for nobody's cosignature is refused.
func ReadPolicy(text []byte, vkey string) (*Policy, error) {
	if !hasLog(text) {
		text = append([]byte("log "+vkey+"\n"), text...)
	}
	if n := len(text); text[n-1] != '\n' {
		text = append(bytes.Clone(text), '\n')
	}
	p, err := verify.ParsePolicy(text)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(p.LogKeys(), vkey) {
		return nil, fmt.Errorf("policy does not trust this log: add the line `log %s`, or leave its `log` lines out", vkey)
	}
	if !p.NeedsQuorum() {
		return nil, errors.New("policy has quorum none: it would ask witnesses for nothing")
	}
	reached := map[string]bool{}
	for _, w := range p.Witnesses() {
		reached[w.Name] = w.URL != ""
	}
	if !p.SatisfiedBy(reached) {
		return nil, errors.New("policy: the witnesses that have a URL are no quorum")
	}
	if _, err := sitesOf(p); err != nil {
		return nil, err
	}
	return &Policy{p, string(text)}, nil
}

// hasLog tells whether the text has a line about a log.
func hasLog(text []byte) bool {
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) > 0 && string(fields[0]) == "log" {
			return true
		}
	}
	return false
}

// Policy is the policy whose witnesses are asked.
func (w *Witnesses) Policy() *Policy { return w.o.Policy }
