package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify/bundle/canonical"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

// apiExport is the method's full name.
const apiExport = "/daybook.api.v1.ExportService/Export"

// record makes it an entry of the log that a part was exported, before its first
// byte is sent, and returns the entry's index; 0 where a log that does not append
// owes it.
//
// Crash before: nobody has got a byte of the part. Crash after: the log tells of a
// part that nobody may have got, which does no harm.
func (s *exporter) record(ctx context.Context, q *question.Question, p *apiv1.ExportPart) (uint64, error) {
	a := s.journal.activity(daybookv1.ActivityType_ACTIVITY_TYPE_EXPORTED, s.listener, callerOf(ctx), apiExport, "")
	a.Detail = exportDetail(q, p)
	return s.journal.exported(ctx, a)
}

// exportDetail says what was exported, as one line of JSON. The texts of a question
// are bounded, so that it stays within an activity's 4,096 bytes, escapes included.
func exportDetail(q *question.Question, p *apiv1.ExportPart) string {
	sum := sha256.Sum256(q.Document())
	var w canonical.Writer
	w.Open('{')
	w.Field("case", q.Case)
	w.Field("item", q.Item)
	w.Field("asked_by", q.AskedBy)
	w.Field("recipient", q.Recipient)
	w.Field("question_sha256", hex.EncodeToString(sum[:]))
	w.Key("size")
	w.Uint(p.GetTreeSize())
	w.Key("part")
	w.Uint(uint64(p.GetNumber()))
	w.Key("parts")
	w.Uint(uint64(p.GetParts()))
	w.Field("manifest_sha256", hex.EncodeToString(p.GetManifestSha256()))
	w.Close('}')
	return string(w.B)
}
