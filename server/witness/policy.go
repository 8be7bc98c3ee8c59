package witness

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/daybook-ledger/daybook/verify"
)

// A Policy names the witnesses of a log and their quorum: a c2sp.org/tlog-policy.
type Policy struct {
	*verify.Policy
	witnesses string // its text without the lines about logs
}

// ReadPolicy reads the policy of a log with that verifier key. The text may leave
// out its `log` lines: those that it has must be of this log, and its keys as they
// are at the time take their place. A policy that asks for nobody's cosignature is
// refused.
func ReadPolicy(text []byte, vkey string) (*Policy, error) {
	logs, witnesses := split(text)
	if len(logs) == 0 {
		logs = []byte("log " + vkey + "\n")
	}
	p, err := verify.ParsePolicy(append(logs, witnesses...))
	if err != nil {
		return nil, err
	}
	origin, err := verify.VKeyOrigin(vkey)
	if err != nil {
		return nil, err
	}
	for _, k := range p.LogKeys() {
		if of, err := verify.VKeyOrigin(k); err != nil || of != origin {
			return nil, fmt.Errorf("policy trusts the log %s, which is not this one, %s: leave its `log` lines out", of, origin)
		}
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
	return &Policy{p, string(witnesses)}, nil
}

// split takes the lines about logs apart from the others; each is ended.
func split(text []byte) (logs, others []byte) {
	for line := range bytes.Lines(text) {
		line = append(bytes.TrimSuffix(bytes.Clone(line), []byte("\n")), '\n')
		if fields := bytes.Fields(line); len(fields) > 0 && string(fields[0]) == "log" {
			logs = append(logs, line...)
			continue
		}
		others = append(others, line...)
	}
	return logs, others
}

// Text is the policy for who checks the log's checkpoints: it trusts the keys that
// sign them now.
func (p *Policy) Text(keys *verify.KeyChain) string {
	logs, _ := split([]byte(keys.Policy()))
	return p.Under(string(logs))
}

// Under is the policy that has these lines about the log's keys.
func (p *Policy) Under(logs string) string { return logs + p.witnesses }

// Policy is the policy whose witnesses are asked.
func (w *Witnesses) Policy() *Policy { return w.o.Policy }
