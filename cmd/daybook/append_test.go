package main

import (
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/verify"
)

const eventJSON = `{"source":{"domain":"web"},"target":{"domain":"prod-db"},"actor":{"id":"alice"},"action":{"class":"ACTION_CLASS_READ","operation":"select"},"decision":"DECISION_ALLOWED","outcome":{"result":"OUTCOME_RESULT_SUCCESS"}}`

func TestParseEventJSON(t *testing.T) {
	body, err := parseEventJSON([]byte(eventJSON), time.Unix(7, 0))
	if err != nil {
		t.Fatal(err)
	}
	ev, err := verify.ParseEvent(body)
	if err != nil || ev.OccurredAtNS != 7e9 || len(ev.EventID) != 36 || string(ev.TargetDomain) != "prod-db" {
		t.Errorf("event %+v, %v", ev, err)
	}
	for _, bad := range []string{"", "{}", `{"nosuch":1}`, `{"source":{"domain":""}}`, eventJSON[:40]} {
		if _, err := parseEventJSON([]byte(bad), time.Unix(7, 0)); err == nil {
			t.Errorf("accepted %s", bad)
		}
	}
}

// FuzzParseEventJSON: whatever is accepted is an event that the log accepts.
func FuzzParseEventJSON(f *testing.F) {
	f.Add([]byte(eventJSON))
	f.Add([]byte(`{"event_id":"AA==","attributes":[{"key":"b"},{"key":"a"}]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		body, err := parseEventJSON(line, time.Unix(7, 0))
		if err != nil {
			return
		}
		if _, err := verify.ParseEvent(body); err != nil {
			t.Errorf("accepted an event that the log refuses: %v", err)
		}
	})
}
