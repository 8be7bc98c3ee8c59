package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/daybook-ledger/daybook/ledger"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

const (
	maxVersions = 1000 // of one answer
	maxChanges  = 1000 // of one proposal that are told; a last line counts the others
)

// governance is the GovernanceService: what people declare, approve and revoke.
// What they say stands in the log under the identity of their connection.
type governance struct {
	apiv1.UnimplementedGovernanceServiceServer
	log *ledger.Ledger
}

// personOf returns the caller as the ledger knows a person.
func personOf(ctx context.Context) ledger.Person {
	p := callerOf(ctx).person
	return ledger.Person{ID: p.ID, Authentication: p.Authentication}
}

// ProposeDomainMap implements GovernanceService.
func (s *governance) ProposeDomainMap(ctx context.Context, r *apiv1.ProposeDomainMapRequest) (*apiv1.ProposeDomainMapResponse, error) {
	if len(r.GetYaml()) == 0 {
		return nil, badRequest("yaml: empty")
	}
	p, err := s.log.ProposeMap(ctx, personOf(ctx), r.GetYaml())
	if err != nil {
		return nil, ofAct(err)
	}
	return &apiv1.ProposeDomainMapResponse{Proposal: proposalOf(p)}, nil
}

// GetDomainMap implements GovernanceService.
func (s *governance) GetDomainMap(_ context.Context, r *apiv1.GetDomainMapRequest) (*apiv1.GetDomainMapResponse, error) {
	switch sum := r.GetSha256(); {
	case len(sum) > 0 && r.GetAt() > 0:
		return nil, badRequest("at and sha256 exclude each other")
	case len(sum) > 0 && len(sum) != len(verify.Hash{}):
		return nil, badRequest("sha256: %d bytes, such a sum has 32", len(sum))
	case len(sum) > 0:
		return s.mapBySum(verify.Hash(sum))
	case r.GetAt() > 0:
		return s.mapAt(r.GetAt() - 1)
	}
	return mapAnswer(s.log.MapInForce())
}

// mapAt returns the version by which an entry is judged.
func (s *governance) mapAt(index uint64) (*apiv1.GetDomainMapResponse, error) {
	v, err := s.log.MapAt(index)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return nil, notFound("no entry " + decimal(index) + " in the log")
	case err != nil:
		return nil, err
	case v == nil:
		return nil, &requestError{codes.NotFound, ReasonNoMap, "no domain map was in force for entry " + decimal(index)}
	}
	return mapAnswer(v)
}

// mapBySum returns the newest version or the open proposal of a document.
func (s *governance) mapBySum(sum verify.Hash) (*apiv1.GetDomainMapResponse, error) {
	for _, p := range s.log.Proposals() {
		if p.SHA256 == sum {
			document, err := domains.MarshalDocument(p.Document())
			return &apiv1.GetDomainMapResponse{Document: document, Proposal: proposalOf(p)}, err
		}
	}
	var found *domains.Version
	if err := s.log.MapVersions(func(v *domains.Version) bool {
		if verify.Hash(v.Body.Sha256) == sum {
			found = v
		}
		return found == nil
	}); err != nil {
		return nil, err
	}
	if found != nil {
		return mapAnswer(found)
	}
	return nil, notFound("no version and no open proposal of the domain map has this SHA-256 sum")
}

func mapAnswer(v *domains.Version) (*apiv1.GetDomainMapResponse, error) {
	if v == nil {
		return nil, ledger.ErrNoMap
	}
	document, err := domains.MarshalDocument(v.Document())
	return &apiv1.GetDomainMapResponse{Version: versionOf(v), Document: document}, err
}

// ListDomainMaps implements GovernanceService.
func (s *governance) ListDomainMaps(_ context.Context, _ *apiv1.ListDomainMapsRequest) (*apiv1.ListDomainMapsResponse, error) {
	answer := new(apiv1.ListDomainMapsResponse)
	if err := s.log.MapVersions(func(v *domains.Version) bool {
		answer.Versions = append(answer.Versions, versionOf(v))
		return len(answer.Versions) < maxVersions
	}); err != nil {
		return nil, err
	}
	for _, p := range slices.Backward(s.log.Proposals()) {
		answer.Proposals = append(answer.Proposals, proposalOf(p))
	}
	return answer, nil
}

// versionOf converts a version; nil stays nil.
func versionOf(v *domains.Version) *apiv1.MapVersion {
	if v == nil {
		return nil
	}
	d := v.Document()
	return &apiv1.MapVersion{Index: v.Index, LogTimeNs: v.LogTimeNS, Map: v.Body, Domains: uint32(len(d.Domains)), Flows: uint32(len(d.Flows))}
}

func proposalOf(p *domains.Proposal) *apiv1.MapProposal {
	out := &apiv1.MapProposal{
		Sha256: p.SHA256[:], FirstPart: p.FirstPart, Parts: p.Parts, Author: p.Document().Author,
		Missing: p.Missing(), Approved: slices.Sorted(maps.Keys(p.Approved)), LogTimeNs: p.LogTimeNS,
	}
	changes := p.Changes()
	for _, c := range changes[:min(len(changes), maxChanges)] {
		out.Changes = append(out.Changes, changeLine(c))
	}
	if n := len(changes) - maxChanges; n > 0 {
		out.Changes = append(out.Changes, fmt.Sprintf("and %d more", n))
	}
	return out
}

// changeLine is a change in one line: `changed flow web-to-db: purpose: "a" is now "b"`.
func changeLine(c domains.Change) string {
	line := strings.TrimSpace(c.How + " " + c.What + " " + c.ID)
	if len(c.Details) > 0 {
		line += ": " + strings.Join(c.Details, "; ")
	}
	return line
}
