package ledger

import "github.com/daybook-ledger/daybook/verify"

// checkKey refuses a producer whose key is not that of its certificate: the log has
// both in the entry of a run opened or resumed, and an auditor compares them.
func (p *Producer) checkKey() error {
	if len(p.Certificate) == 0 {
		return nil // it signs nothing
	}
	if _, err := verify.ProducerSPKI(p.Certificate, p.KeyFingerprint); err != nil {
		return &RefusedError{Field: "certificate", Reason: err.Error()}
	}
	return nil
}
