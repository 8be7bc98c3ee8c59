package server

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/daybook-ledger/daybook/server/spool"
	"github.com/daybook-ledger/daybook/verify/bundle"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

// TestWhatCannotBeMadeSaysWhatCan: a file that has no room, on the disk or in the
// format, is refused with a reason and a way out, and with no name of a file here.
func TestWhatCannotBeMadeSaysWhatCan(t *testing.T) {
	for _, c := range []struct {
		q      question.Question
		err    error
		code   codes.Code
		reason string
		way    string
	}{
		{question.Question{}, spool.ErrFull, codes.ResourceExhausted, ReasonDiskLow, "ask again once there is room"},
		{question.Question{}, bundle.ErrTooLarge, codes.ResourceExhausted, ReasonAnswerTooLarge, "--split"},
		{question.Question{Log: true}, bundle.ErrTooLarge, codes.ResourceExhausted, ReasonAnswerTooLarge, "daybookd mirror"},
		{question.Question{}, bundle.ErrNoClose, codes.FailedPrecondition, ReasonNotFound, "without --no-close"},
	} {
		err := ofExport(&c.q, fmt.Errorf("write /data/exports/123: %w", c.err))
		r, told := refusalOf(err)
		if !told || r.code != c.code || r.reason != c.reason || !strings.Contains(err.Error(), c.way) || strings.Contains(err.Error(), "/data") {
			t.Errorf("%v: %v %s, told %v: %v", c.err, r.code, r.reason, told, err)
		}
	}
}
