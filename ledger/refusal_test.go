package ledger_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/ledgertest"
	"github.com/daybook-ledger/daybook/ledger/store"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// TestRefusalIsAnEntry: what a producer was refused does not vanish.
func TestRefusalIsAnEntry(t *testing.T) {
	g := create(t, ledgertest.Options{})
	run, _ := g.Run("refused")
	bad := ledger.Batch{Run: run, Epoch: 1, First: 1, Items: []ledger.Item{{Body: []byte("no event")}}}
	for range 5 {
		var refused *ledger.RefusedError
		if _, err := g.L.Append(t.Context(), ledgertest.Producer, bad); !errors.As(err, &refused) {
			t.Fatalf("append of garbage: %v", err)
		}
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	count := uint64(0)
	if err := g.L.Entries(t.Context(), 0, g.L.Head().Size, func(_ uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		if err != nil || e.Place.Kind != daybookv1.Kind_KIND_ACTIVITY {
			return err
		}
		var a daybookv1.Activity
		if err := proto.Unmarshal(e.Body, &a); err != nil {
			return err
		}
		if a.Type == daybookv1.ActivityType_ACTIVITY_TYPE_REFUSED && a.Actor == ledgertest.Producer.ID && a.Code == "EVENT_REFUSED" {
			count += a.Count
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if count != 5 {
		t.Errorf("%d refusals are in the log, want 5", count)
	}
	if err := g.Engine.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRefusalsAreFoldedByWhoWhereAndWhy: what the server refused is counted apart
// for each actor, listener and code, and beyond a bound together.
func TestRefusalsAreFoldedByWhoWhereAndWhy(t *testing.T) {
	g := create(t, ledgertest.Options{})
	for range 3 {
		g.L.NoteRefusal(ledger.Refusal{Actor: "spiffe://web/app", Authentication: "mtls", Listener: "ingest", Method: "Append", Code: "CERTIFICATE_EXPIRED", Detail: "it ended"})
	}
	g.L.NoteRefusal(ledger.Refusal{Actor: "spiffe://web/app", Listener: "query", Code: "CERTIFICATE_EXPIRED", Detail: "it ended"})
	g.L.NoteRefusal(ledger.Refusal{Actor: "spiffe://web/app", Listener: "ingest", Code: "WRONG_LISTENER", Detail: "elsewhere"})
	g.L.NoteRefusal(ledger.Refusal{Listener: "ingest", Code: "WRONG_CA", Detail: "claims spiffe://db/app"})
	for i := range 2000 {
		g.L.NoteRefusal(ledger.Refusal{Actor: fmt.Sprintf("spiffe://web/%d", i), Listener: "ingest", Code: "NOT_ALLOWED", Detail: "no"})
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	counts, total := map[string]uint64{}, uint64(0)
	if err := g.L.Entries(t.Context(), 0, g.L.Head().Size, func(_ uint64, raw []byte) error {
		e, err := verify.ParseEntry(raw)
		if err != nil || e.Place.Kind != daybookv1.Kind_KIND_ACTIVITY {
			return err
		}
		var a daybookv1.Activity
		if err := proto.Unmarshal(e.Body, &a); err != nil {
			return err
		}
		if a.Type == daybookv1.ActivityType_ACTIVITY_TYPE_REFUSED {
			counts[a.Actor+" "+a.Listener+" "+a.Code] += a.Count
			total += a.Count
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]uint64{
		"spiffe://web/app ingest CERTIFICATE_EXPIRED": 3, "spiffe://web/app query CERTIFICATE_EXPIRED": 1,
		"spiffe://web/app ingest WRONG_LISTENER": 1, "unknown ingest WRONG_CA": 1,
	} {
		if counts[key] != want {
			t.Errorf("%s: %d, want %d", key, counts[key], want)
		}
	}
	if total != 2006 || counts["unknown  REFUSALS"] == 0 {
		t.Errorf("%d refusals are in the log, want 2006; %d of them together", total, counts["unknown  REFUSALS"])
	}
	if err := g.Engine.Close(); err != nil {
		t.Fatal(err)
	}
}

// clearVault keeps openings as they are, so that a test sees them.
type clearVault struct{}

func (clearVault) Seal(class, month string, plain, _ []byte) ([]byte, error) {
	return []byte(class + month + string(plain)), nil
}
func (clearVault) Open(_, _ string, sealed, _ []byte) ([]byte, error) { return sealed, nil }

func TestOpeningsAreCheckedAndKept(t *testing.T) {
	g := ledgertest.Create(t, newMem(), "log", ledgertest.Options{Vault: clearVault{}})
	defer g.Close()
	run, _ := g.Run("openings")
	var e daybookv1.Event
	if err := proto.Unmarshal(ledgertest.Event(run, 1), &e); err != nil {
		t.Fatal(err)
	}
	salt, value := sha256.Sum256([]byte("salt")), []byte("alice@example.com")
	commitment := verify.SealCommitment(e.EventId, 701, salt[:], value)
	e.Actor.Id = ""
	e.Sealed = []*daybookv1.Sealed{{Field: 701, Commitment: commitment[:]}}
	body, err := proto.Marshal(&e)
	if err != nil {
		t.Fatal(err)
	}
	b := ledger.Batch{Run: run, Epoch: 1, First: 1, Items: []ledger.Item{{Body: body, Openings: []ledger.Opening{{Field: 701, Salt: salt[:], Value: []byte("mallory")}}}}}
	var refused *ledger.RefusedError
	if _, err := g.L.Append(t.Context(), ledgertest.Producer, b); !errors.As(err, &refused) || refused.Field != "openings[701]" {
		t.Fatalf("opening of another value: %v", err)
	}
	b.Items[0].Openings[0].Value = value
	appendBatch(t, g, b)
	kept := 0
	lo, hi := store.Openings.Range()
	if err := g.Engine.Scan(lo, hi, func(_, v []byte) error {
		if strings.HasSuffix(string(v), string(value)) {
			kept++
		}
		return nil
	}); err != nil || kept != 1 {
		t.Errorf("%d openings kept, %v", kept, err)
	}
	g.Check()
}
