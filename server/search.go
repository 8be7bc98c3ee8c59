package server

import (
	"context"
	"encoding/hex"
	"strings"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/index"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

const (
	defaultValues = 20
	maxValues     = 1000
)

// matchesOf returns the matches of a request's further fields.
func matchesOf(r *apiv1.ListEntriesRequest) ([]ledger.Match, error) {
	var list []ledger.Match
	for _, m := range []struct {
		field         index.Field
		value, prefix string
	}{
		{index.Source, "", r.GetSourcePrefix()},
		{index.Target, "", r.GetTargetPrefix()},
		{index.Actor, r.GetActor(), r.GetActorPrefix()},
		{index.Operation, r.GetOperation(), r.GetOperationPrefix()},
		{index.Resource, r.GetResource(), r.GetResourcePrefix()},
		{index.Producer, r.GetProducer(), r.GetProducerPrefix()},
		{index.Approver, r.GetApprover(), r.GetApproverPrefix()},
		{index.Ticket, r.GetTicket(), r.GetTicketPrefix()},
		{index.Purpose, r.GetPurpose(), r.GetPurposePrefix()},
		{index.Grant, r.GetGrantId(), r.GetGrantIdPrefix()},
	} {
		if m.value != "" {
			list = append(list, ledger.Match{Field: m.field, Value: []byte(m.value)})
		}
		if m.prefix != "" {
			list = append(list, ledger.Match{Field: m.field, Value: []byte(m.prefix), Prefix: true})
		}
	}
	for _, m := range []struct {
		field index.Field
		value int32
	}{
		{index.ActionClass, int32(r.GetActionClass())},
		{index.Decision, int32(r.GetDecision())},
		{index.Verdict, int32(r.GetVerdict())},
		{index.Outcome, int32(r.GetOutcome())},
		{index.SourceProof, int32(r.GetSourceProof())},
		{index.AlertType, int32(r.GetAlertType())},
	} {
		if m.value < 0 {
			return nil, badRequest("%v: %d is no value of it", m.field, m.value)
		}
		if m.value != 0 {
			list = append(list, ledger.Match{Field: m.field, Number: uint64(m.value)})
		}
	}
	if r.GetLate() {
		list = append(list, ledger.Match{Field: index.Late, Number: 1})
	}
	return idMatches(list, r)
}

// idMatches appends the matches of the fields that are ids.
func idMatches(list []ledger.Match, r *apiv1.ListEntriesRequest) ([]ledger.Match, error) {
	for _, m := range []struct {
		field index.Field
		text  string
		parse func(name, text string) ([]byte, error)
	}{
		{index.EventID, r.GetEventId(), idOf},
		{index.Correlation, r.GetCorrelationId(), idOf},
		{index.Credential, r.GetCredential(), digestOf},
		{index.Run, r.GetRun(), digestOf},
	} {
		if m.text == "" {
			continue
		}
		value, err := m.parse(m.field.String(), m.text)
		if err != nil {
			return nil, err
		}
		list = append(list, ledger.Match{Field: m.field, Value: value})
	}
	return list, nil
}

// idOf parses an id of 1 to 64 bytes: text, or `hex:` and digits.
func idOf(name, text string) ([]byte, error) {
	id := []byte(text)
	if digits, ok := strings.CutPrefix(text, "hex:"); ok {
		var err error
		if id, err = hex.DecodeString(digits); err != nil {
			return nil, badRequest("%s: after `hex:` come hex digits", name)
		}
	}
	if len(id) == 0 || len(id) > 64 {
		return nil, badRequest("%s: %d bytes, such an id has 1 to 64", name, len(id))
	}
	return id, nil
}

// digestOf parses 32 bytes in hex.
func digestOf(name, text string) ([]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 32 {
		return nil, badRequest("%s: is not 64 hex digits", name)
	}
	return b, nil
}

// ListValues implements QueryService.
func (s *query) ListValues(ctx context.Context, r *apiv1.ListValuesRequest) (*apiv1.ListValuesResponse, error) {
	limit := int(r.GetLimit())
	switch {
	case limit == 0:
		limit = defaultValues
	case limit < 0 || limit > maxValues:
		return nil, badRequest("limit: %d is not 1 to %d", limit, maxValues)
	}
	field, ok := index.ParseField(r.GetField())
	if !ok {
		return nil, badRequest("field: %q is none: name one of %s", r.GetField(), strings.Join(index.ListedFields(), ", "))
	}
	values, more, size, err := s.log.Values(ctx, field, r.GetPrefix(), limit)
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		values[i] = strings.ToValidUTF8(v, "") // a long one may be cut within a letter
	}
	return &apiv1.ListValuesResponse{Values: values, More: more, TreeSize: size}, nil
}
