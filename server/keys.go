package server

import (
	"context"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/verify"
)

// ListKeys implements QueryService.
func (s *query) ListKeys(ctx context.Context, _ *apiv1.ListKeysRequest) (*apiv1.ListKeysResponse, error) {
	keys, err := s.log.KeyProofs(ctx)
	if err != nil {
		return nil, err
	}
	answer := new(apiv1.ListKeysResponse)
	for _, k := range keys {
		answer.Keys = append(answer.Keys, &apiv1.LogKey{Vkey: k.VKey, Since: k.Since, Ended: k.Ended, Compromised: k.Compromised,
			Rotation: receiptFile(k.Rotation), Retirement: receiptFile(k.Retirement)})
	}
	return answer, nil
}

func receiptFile(r *ledger.EntryReceipt) *apiv1.ReceiptFile {
	if r == nil {
		return nil
	}
	return &apiv1.ReceiptFile{Index: r.Index, Entry: r.Entry, Proof: r.Receipt}
}

// RotateKey implements AdminService.
func (s *admin) RotateKey(ctx context.Context, r *apiv1.RotateKeyRequest) (*apiv1.RotateKeyResponse, error) {
	approval, err := s.approvalOf(ctx, daybookv1.ApprovalSubject_APPROVAL_SUBJECT_KEY_ROTATION, r.GetVkey(), verify.KeyName(r.GetVkey()))
	if err != nil {
		return nil, err
	}
	index, err := s.log.RotateKey(ctx, personOf(ctx), ledger.Rotation{VKey: r.GetVkey(), Reason: r.GetReason(), Compromised: r.GetCompromised(), Approvals: approval})
	if err != nil {
		return nil, ofAct(err)
	}
	return &apiv1.RotateKeyResponse{Index: index, Checkpoint: s.log.Head().Checkpoint}, nil
}

// RetireKey implements AdminService.
func (s *admin) RetireKey(ctx context.Context, r *apiv1.RetireKeyRequest) (*apiv1.RetireKeyResponse, error) {
	index, vkey, err := s.log.RetireKey(ctx, personOf(ctx), r.GetReason(), r.GetCompromised())
	if err != nil {
		return nil, ofAct(err)
	}
	return &apiv1.RetireKeyResponse{Index: index, Checkpoint: s.log.Head().Checkpoint, Vkey: vkey}, nil
}

// ArchiveCheckpoint implements AdminService.
func (s *admin) ArchiveCheckpoint(ctx context.Context, _ *apiv1.ArchiveCheckpointRequest) (*apiv1.ArchiveCheckpointResponse, error) {
	a, err := s.log.Archive(ctx)
	if err != nil {
		return nil, err
	}
	return &apiv1.ArchiveCheckpointResponse{Size: a.Size, Checkpoint: a.Note}, nil
}

// Succeed implements AdminService.
func (s *admin) Succeed(ctx context.Context, r *apiv1.SucceedRequest) (*apiv1.SucceedResponse, error) {
	approval, err := s.approvalOf(ctx, daybookv1.ApprovalSubject_APPROVAL_SUBJECT_SUCCESSION, r.GetVkey(), r.GetOrigin())
	if err != nil {
		return nil, err
	}
	index, err := s.log.Succeed(ctx, personOf(ctx), &daybookv1.Succession{Origin: r.GetOrigin(), Vkey: r.GetVkey(), Reason: r.GetReason(), Approvals: approval})
	if err != nil {
		return nil, ofAct(err)
	}
	return &apiv1.SucceedResponse{Index: index, Checkpoint: s.log.Head().Checkpoint, Vkey: s.log.VKey()}, nil
}

// approvalOf finds the approval by another person of an act that a key is at stake
// in, as an entry names it. The ledger looks at it once more, where nothing comes
// between that and the entry.
func (s *admin) approvalOf(ctx context.Context, subject daybookv1.ApprovalSubject, vkey, name string) ([]uint64, error) {
	sum, err := verify.VKeyFingerprint(vkey)
	if err != nil {
		return nil, badRequest("vkey: %v", err)
	}
	approvals := approvalsOf(s.log)
	list, err := approvals.Find(ctx, subject, name)
	if err != nil {
		return nil, err
	}
	act := access.Act{Subject: subject, Name: name, SHA256: sum[:], Requester: personOf(ctx).ID, AtNS: s.now().UnixNano()}
	found, err := act.Check(list, approvals.Person)
	if err != nil {
		return nil, err
	}
	return []uint64{found.Index + 1}, nil
}
