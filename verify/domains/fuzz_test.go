package domains_test

import (
	"encoding/binary"
	"testing"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// FuzzApply: whatever entries govern a log, as far as their bodies have the wire
// grammar, they are taken or refused, and what is asked of the judge afterwards
// has an answer. An entry is u8 kind || u16 length || body.
func FuzzApply(f *testing.F) {
	put := func(b []byte, kind daybookv1.Kind, body []byte) []byte {
		return append(binary.BigEndian.AppendUint16(append(b, byte(kind)), uint16(len(body))), body...)
	}
	document, err := domains.MarshalDocument(sampleDocument())
	if err != nil {
		f.Fatal(err)
	}
	var parts []byte
	for _, p := range domains.SplitDocument(document) {
		parts = put(parts, daybookv1.Kind_KIND_PART, body(f, p))
	}
	j := new(domains.Judge)
	sum := propose(f, j, 0, sampleDocument())
	approval := &daybookv1.Approval{Id: "1", Subject: daybookv1.ApprovalSubject_APPROVAL_SUBJECT_MAP_CHANGE, Sha256: sum[:], Approver: "cco"}
	approved := put(parts, daybookv1.Kind_KIND_APPROVAL, body(f, approval))
	f.Add(parts)
	f.Add(approved)
	f.Add(put(approved, daybookv1.Kind_KIND_REVOCATION, body(f, &daybookv1.Revocation{Approval: uint64(len(domains.SplitDocument(document))), Revoker: "cco"})))
	f.Fuzz(func(t *testing.T, b []byte) {
		j := new(domains.Judge)
		for index := uint64(0); len(b) >= 3; index++ {
			kind, n := daybookv1.Kind(b[0]), int(binary.BigEndian.Uint16(b[1:]))
			text := b[3:min(3+n, len(b))]
			b = b[3+len(text):]
			if verify.CheckBody(kind, text) != nil {
				continue
			}
			err := j.Apply(index, 100, kind, text)
			if ready := j.Ready(); ready != nil && err == nil {
				if err := j.Apply(index+1, 100, daybookv1.Kind_KIND_DOMAIN_MAP, body(t, ready)); err != nil {
					t.Fatalf("the map that is ready is refused: %v", err)
				}
				index++
			}
			for _, p := range j.Proposals() {
				p.Missing()
			}
			if v := j.InForce(); v != nil {
				v.Resolve([]byte("web"))
			}
		}
	})
}
