package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/server/witness"
	"github.com/daybook-ledger/daybook/verify"
)

// readPolicy reads the configured policy of witnesses; nil: there is none.
func readPolicy(c *config.Config, vkey string) (*witness.Policy, *verify.Policy, error) {
	if c.Witnesses == "" {
		return nil, nil, nil
	}
	text, err := os.ReadFile(c.Witnesses)
	if err != nil {
		return nil, nil, fmt.Errorf("witnesses: %w", err)
	}
	p, err := witness.ReadPolicy(text, vkey)
	if err != nil {
		return nil, nil, fmt.Errorf("witnesses: %s: %w", c.Witnesses, err)
	}
	return p, p.Policy, nil
}

// openWitnesses returns the witnesses of a policy; nil: there are none.
func (r *runningServer) openWitnesses(c *config.Config, policy *witness.Policy) (*witness.Witnesses, error) {
	if policy == nil {
		return nil, nil
	}
	w, err := witness.New(witness.Options{Log: r.ledger, Policy: policy, Heartbeat: c.WitnessHeartbeat,
		Require: c.WitnessAtStart == config.WitnessRequire, Logger: r.log})
	if err != nil {
		return nil, fmt.Errorf("witnesses: %w", err)
	}
	return w, nil
}

// explainWitnesses says in words what a configuration asks of whom; a fault of the
// policy is the error. dir may be empty: then the policy is not read.
func explainWitnesses(c *config.Config, dir datadir.Dir) ([]string, error) {
	if c.Witnesses == "" {
		return []string{"nobody cosigns: whoever holds the log's key could show two people two histories"}, nil
	}
	if dir == "" {
		return []string{"the policy " + c.Witnesses + " is read where --data DIR names the log"}, nil
	}
	vkey, err := os.ReadFile(dir.LogVKey())
	if err != nil {
		return nil, fmt.Errorf("witnesses: reading the log's verifier key: %w", err)
	}
	p, _, err := readPolicy(c, strings.TrimSpace(string(vkey)))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, w := range p.Witnesses() {
		where := "is never asked: it has no URL"
		if w.URL != "" {
			where = "is sent each new checkpoint, at most one a second, at " + w.URL
		}
		out = append(out, fmt.Sprintf("%s (%s) %s", w.Name, w.Key, where))
	}
	start := "at the start appends wait for the quorum, but at most 10 s: then the log opens with a warning and an entry"
	if c.WitnessAtStart == config.WitnessRequire {
		start = "at the start appends wait until the quorum has cosigned the size that the log has then"
	}
	return append(out, start, fmt.Sprintf("after that no append waits for a witness; an idle log is cosigned again every %v", c.WitnessHeartbeat)), nil
}

// witnessesStatus is how the witnesses stand in `status --json`.
type witnessesStatus struct {
	WitnessedSize uint64          `json:"witnessed_size"` // of the newest checkpoint that the quorum cosigned; 0: none yet
	Lag           uint64          `json:"lag"`            // entries that it does not cover
	Awaited       bool            `json:"awaited"`        // the log is shut until the quorum has answered
	Witnesses     []witnessStatus `json:"witnesses"`
}

type witnessStatus struct {
	Name        string `json:"name"`
	Key         string `json:"key"`
	URL         string `json:"url"`
	Size        uint64 `json:"size"` // newest that it cosigned since the start
	Time        string `json:"time"` // that it stated then
	Lag         uint64 `json:"lag"`
	Failures    uint64 `json:"failures"`
	Error       string `json:"error"` // of the last request; empty: it cosigned
	ErrorTime   string `json:"error_time"`
	Contradicts bool   `json:"contradicts"` // it claims to know another history
	ClaimedSize uint64 `json:"claimed_size"`
}

func witnessesOf(m *apiv1.Witnesses) *witnessesStatus {
	if m == nil {
		return nil
	}
	out := &witnessesStatus{WitnessedSize: m.WitnessedSize, Lag: m.Lag, Awaited: m.Awaited, Witnesses: []witnessStatus{}}
	for _, w := range m.Witnesses {
		one := witnessStatus{Name: w.Name, Key: w.Key, URL: w.Url, Size: w.Size, Lag: w.Lag, Failures: w.Failures,
			Error: w.Error, Contradicts: w.Contradicts, ClaimedSize: w.ClaimedSize}
		if w.Time != nil {
			one.Time = formatTime(w.Time.AsTime())
		}
		if w.ErrorTime != nil {
			one.ErrorTime = formatTime(w.ErrorTime.AsTime())
		}
		out.Witnesses = append(out.Witnesses, one)
	}
	return out
}

// print writes how the witnesses stand, for people.
func (s *witnessesStatus) print(w io.Writer) error {
	quorum := "none yet"
	if s.WitnessedSize > 0 {
		quorum = fmt.Sprintf("%d entries, %d behind", s.WitnessedSize, s.Lag)
	}
	if s.Awaited {
		quorum += "; the log is shut until the quorum has answered"
	}
	if _, err := fmt.Fprintf(w, "witnessed   %s\n", quorum); err != nil {
		return err
	}
	for _, x := range s.Witnesses {
		state := fmt.Sprintf("cosigned %d entries at %s", x.Size, x.Time)
		if x.Size == 0 {
			state = "has not cosigned since the start"
		}
		if x.URL == "" {
			state = "is not asked: it has no URL"
		}
		if x.Error != "" {
			state += fmt.Sprintf("; FAILS, last at %s: %s (%d failures since the start)", x.ErrorTime, x.Error, x.Failures)
		}
		if x.Contradicts {
			state = "CONTRADICTS the log: " + state
		}
		if _, err := fmt.Fprintf(w, "  %-9s %s\n", x.Name, state); err != nil {
			return err
		}
	}
	return nil
}
