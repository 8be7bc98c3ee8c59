package server

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	// exportWitnessWait is how long an export waits for the witnesses of a checkpoint
	// that covers its close. After it, the file is made without them.
	exportWitnessWait = 15 * time.Second
	// archiveLook is how often it is looked whether what they cosigned is archived.
	archiveLook = 50 * time.Millisecond
)

// archived returns the size of the checkpoint that a file leads to where none was
// asked for: where the log has witnesses, of the newest one that their quorum
// cosigned and that covers an entry; else, or where they do not answer in time, of
// the newest.
func (s *exporter) archived(ctx context.Context, index uint64, out *exportSender) (uint64, error) {
	if s.witnessed != nil {
		size, err := s.cosigned(ctx, index, out)
		if err != nil || size != 0 {
			return size, err
		}
	}
	archived, err := s.log.Archive(ctx)
	if shut := (*ledger.ShutError)(nil); errors.As(err, &shut) {
		return s.newest(0, nil, err)
	}
	return archived.Size, err
}

// cosigned waits for an archived checkpoint that covers an entry and that the
// quorum cosigned; 0: there is none in time.
func (s *exporter) cosigned(ctx context.Context, index uint64, out *exportSender) (size uint64, err error) {
	policy, _, err := s.quorum()
	if err != nil {
		return 0, err
	}
	for end := time.Now().Add(s.patience); ; {
		size, err := s.newest(index+1, policy, nil)
		if err != nil || size != 0 || !time.Now().Before(end) {
			return size, err
		}
		if err := out.progress(ctx, "waiting for witnesses", 0, 0); err != nil {
			return 0, err
		}
		step, cancel := context.WithTimeout(ctx, archiveLook)
		w, err := s.log.WaitWitnessed(step, index)
		switch {
		case err == nil && w.Size == s.log.Head().Size:
			_, err = s.log.Archive(ctx)
		case err == nil:
			<-step.Done() // the log archives it by itself
			err = nil
		}
		cancel()
		if shut := (*ledger.ShutError)(nil); errors.As(err, &shut) {
			return 0, nil
		}
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
	}
}

// newest returns the size of the newest archived checkpoint from a size on that a
// policy accepts, nil: any; 0 and none where there is none.
func (s *exporter) newest(from uint64, policy *verify.Policy, none error) (size uint64, err error) {
	err = s.log.Checkpoints(from, min(s.log.Head().Size, math.MaxUint64-1)+1, func(a ledger.Archived) error {
		if policy != nil {
			if _, err := policy.Open(a.Note); err != nil {
				return nil // not of the quorum
			}
		}
		size = a.Size
		return nil
	})
	if err == nil && size == 0 {
		err = none
	}
	return size, err
}

// policyOf is the policy that a file says of itself: with the keys that signed its
// checkpoint, whatever became of them since, so that the same checkpoint gives the
// same file; and with the witnesses where they cosigned it.
func (s *exporter) policyOf(note []byte) []byte {
	logs := signersOf(s.log.Keys(), note)
	if logs == "" {
		return []byte(s.log.Keys().Policy())
	}
	if s.witnessed != nil {
		text := []byte(s.witnessed.Under(logs))
		if p, err := verify.ParsePolicy(text); err == nil {
			if _, err := p.Open(note); err == nil {
				return text
			}
		}
	}
	return []byte(logs + "quorum none\n")
}

// signersOf returns the lines of a policy about the keys of a log that signed a
// note, the newest first.
func signersOf(keys *verify.KeyChain, note []byte) string {
	lines := ""
	for _, k := range slices.Backward(keys.Keys()) {
		p, err := verify.KeyPolicy(k.VKey)
		if err != nil {
			continue
		}
		if _, err := p.Open(note); err == nil {
			lines += "log " + k.VKey + "\n"
		}
	}
	return lines
}

// quorum is the policy of the witnesses under the keys that sign now, with its text;
// nil: the log has no witnesses.
func (s *exporter) quorum() (*verify.Policy, []byte, error) {
	if s.witnessed == nil {
		return nil, nil, nil
	}
	text := []byte(s.witnessed.Text(s.log.Keys()))
	p, err := verify.ParsePolicy(text)
	return p, text, err
}
