package server_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/verify"
)

func (w *world) admin(t *testing.T) apiv1.AdminServiceClient {
	t.Helper()
	return apiv1.NewAdminServiceClient(dial(t, w.addresses.Admin, w.tlsOf(t, w.ca, operator, time.Now())))
}

// openClose checks the entry of a close as an auditor would.
func (w *world) openClose(t *testing.T, a *apiv1.GetEntryResponse) *daybookv1.Close {
	t.Helper()
	policy, err := verify.KeyPolicy(w.vkey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := policy.OpenCheckpoint(a.GetCheckpoint())
	if err != nil {
		t.Fatal(err)
	}
	raw := a.GetEntry().GetEntry()
	if err := verify.CheckInclusion(a.GetEntry().GetIndex(), c.Size, verify.HashLeaf(raw), split(a.GetProof()), c.Root); err != nil {
		t.Fatal(err)
	}
	e, err := verify.ParseEntry(raw)
	if err != nil {
		t.Fatal(err)
	}
	m, err := verify.CheckCloseEntry(&e)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func provenRow(t *testing.T, r *apiv1.CloseRow) *verify.ProvenRow {
	t.Helper()
	if r == nil {
		return nil
	}
	row, err := verify.ParseRow(r.GetRow())
	if err != nil {
		t.Fatal(err)
	}
	if row.Count != r.GetCount() || !bytes.Equal(row.Root[:], r.GetRoot()) {
		t.Errorf("row shows %d %x, its bytes say %d %x", r.GetCount(), r.GetRoot(), row.Count, row.Root)
	}
	return &verify.ProvenRow{Index: r.GetRowIndex(), Row: row, Proof: split(r.GetProof())}
}

// manyTargets appends an event to each of n targets, so that the table of
// streams has several pages.
func manyTargets(t *testing.T, w *world, n int) []byte {
	t.Helper()
	c := w.ingest(t)
	request := &apiv1.AppendRequest{Run: openRun(t, c), Epoch: 1, FirstNumber: 1}
	for i := range n {
		request.Items = append(request.Items, &apiv1.Item{Body: event(t, fmt.Sprint("e-", i), fmt.Sprintf("db-%03d", i))})
	}
	if _, err := c.Append(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	return request.Run
}

func TestRowsAreProvenByTheirBytes(t *testing.T) {
	w := newWorld(t)
	run := manyTargets(t, w, 700)
	q := w.query(t)
	_, err := q.GetClose(t.Context(), &apiv1.GetCloseRequest{})
	wantReason(t, err, server.ReasonNotFound)
	now, err := w.admin(t).CloseNow(t.Context(), &apiv1.CloseNowRequest{})
	if err != nil {
		t.Fatal(err)
	}
	m := w.openClose(t, now.GetEntry())
	got, err := q.GetClose(t.Context(), &apiv1.GetCloseRequest{})
	if err != nil || got.GetEntry().GetEntry().GetIndex() != now.GetEntry().GetEntry().GetIndex() {
		t.Fatalf("the newest close is %v, %v", got, err)
	}
	stream := func(target string) *apiv1.StreamName {
		return &apiv1.StreamName{Kind: daybookv1.Kind_KIND_ACCESS, Source: "web", Target: target}
	}
	for target, present := range map[string]bool{"db-000": true, "db-255": true, "db-699": true, "db-300": true, "db-700": false, "a": false, "zzz": false, "db-3000": false} {
		a, err := q.GetCloseRow(t.Context(), &apiv1.GetCloseRowRequest{Stream: stream(target)})
		if err != nil {
			t.Fatal(err)
		}
		w.openClose(t, a.GetClose())
		key := []byte(verify.MakeStreamKey(daybookv1.Kind_KIND_ACCESS, "web", target, 0, false))
		row := provenRow(t, a.GetRow())
		switch {
		case (row != nil) != present:
			t.Errorf("%s: row %v", target, a.GetRow())
		case row != nil:
			if err := verify.CheckRow(m.Streams, *row); err != nil || !bytes.Equal(row.Row.Key, key) || row.Row.Count != 1 {
				t.Errorf("%s: %v, %v", target, row, err)
			}
		default:
			if err := verify.CheckAbsent(m.Streams, key, provenRow(t, a.GetBefore()), provenRow(t, a.GetAfter())); err != nil {
				t.Errorf("%s: %v", target, err)
			}
		}
	}
	a, err := q.GetCloseRow(t.Context(), &apiv1.GetCloseRowRequest{Run: &apiv1.RunName{Producer: producer, Run: run}})
	if err != nil || a.GetRow().GetCount() != 700 {
		t.Fatalf("row of the run: %v, %v", a, err)
	}
	if err := verify.CheckRow(m.Runs, *provenRow(t, a.GetRow())); err != nil {
		t.Error(err)
	}
	listAll(t, q, m)
	_, err = q.GetCloseRow(t.Context(), &apiv1.GetCloseRowRequest{})
	wantReason(t, err, server.ReasonBadRequest)
	_, err = q.GetClose(t.Context(), &apiv1.GetCloseRequest{Index: 1})
	wantReason(t, err, server.ReasonNotFound)
}

// listAll lists the whole table and rebuilds it, then parts of it.
func listAll(t *testing.T, q apiv1.QueryServiceClient, m *daybookv1.Close) {
	t.Helper()
	list := func(r *apiv1.ListCloseRowsRequest) (rows []verify.Row) {
		for {
			page, err := q.ListCloseRows(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range page.GetRows() {
				rows = append(rows, provenRow(t, row).Row)
			}
			if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
				return rows
			}
		}
	}
	if err := verify.CheckTable(m.Streams, list(&apiv1.ListCloseRowsRequest{PageSize: 90})); err != nil {
		t.Error(err)
	}
	if err := verify.CheckTable(m.Runs, list(&apiv1.ListCloseRowsRequest{Table: apiv1.CloseTableKind_CLOSE_TABLE_KIND_RUNS, PageSize: 1})); err != nil {
		t.Error(err)
	}
	if rows := list(&apiv1.ListCloseRowsRequest{Target: "db-077"}); len(rows) != 1 {
		t.Errorf("%d rows of one target", len(rows))
	}
	prefix := verify.MakeStreamKey(daybookv1.Kind_KIND_ACCESS, "web", "db-1", 0, false)
	if rows := list(&apiv1.ListCloseRowsRequest{Prefix: []byte(prefix[:5]), PageSize: 7}); len(rows) != 700 {
		t.Errorf("%d rows with the prefix of a source", len(rows))
	}
}

// TestMissedDayOverREST serves a log that was made two days ago, and reads the
// closes over REST.
func TestMissedDayOverREST(t *testing.T) {
	w := newWorld(t)
	w.end(t)
	w.dir = t.TempDir()
	engine, err := pebblestore.Open(pebblestore.Options{Dir: filepath.Join(w.dir, "store"), Logger: slog.New(slog.DiscardHandler), MemTableBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now().UTC().Add(-48 * time.Hour)
	clock := ledger.Clock{Wall: begun.UnixNano, Mono: func() time.Duration { return 0 }}
	if err := ledger.Create(t.Context(), ledger.CreateConfig{Store: engine, Signer: w.signer, VKey: w.vkey,
		Anchor: ledger.FileAnchor(filepath.Join(w.dir, "anchor")), Clock: clock}); err != nil {
		t.Fatal(err)
	}
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	w.serve(t)
	client := web(t, w.tlsOf(t, w.ca, producer, time.Now()))
	get := func(path string, m proto.Message) int {
		t.Helper()
		r, err := client.Get("https://" + w.addresses.QueryHTTP + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if r.StatusCode == http.StatusOK {
			if err := protojson.Unmarshal(b, m); err != nil {
				t.Fatalf("%s: %v\n%s", path, err, b)
			}
		}
		return r.StatusCode
	}
	day := "/v1/days/" + begun.Format(time.DateOnly) + "/close"
	var c apiv1.GetCloseResponse
	for range 1000 { // written within a second after the start
		if get(day, &c) == http.StatusOK {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	m := w.openClose(t, c.GetEntry())
	if m.PeriodStartNs != verify.DayStart(begun.UnixNano()) || m.Cut != 1 {
		t.Errorf("the close of the first day: %v", m)
	}
	var list apiv1.ListClosesResponse
	if get("/v1/closes?page_size=1", &list) != http.StatusOK || len(list.Closes) != 1 {
		t.Errorf("closes: %v", &list)
	}
	var row apiv1.GetCloseRowResponse
	path := fmt.Sprintf("/v1/closes/%d/row?stream.kind=KIND_ORIGIN_OPENED", c.GetEntry().GetEntry().GetIndex())
	if get(path, &row) != http.StatusOK || row.GetRow().GetCount() != 1 {
		t.Fatalf("row over REST: %v", &row)
	}
	if err := verify.CheckRow(m.Streams, *provenRow(t, row.GetRow())); err != nil {
		t.Error(err)
	}
	var rows apiv1.ListCloseRowsResponse
	if get(fmt.Sprintf("/v1/closes/%d/rows", c.GetEntry().GetEntry().GetIndex()), &rows) != http.StatusOK || len(rows.Rows) != 1 {
		t.Errorf("rows over REST: %v", &rows)
	}
	if get("/v1/days/yesterday/close", &c) != http.StatusBadRequest {
		t.Error("a day that is none was taken")
	}
}
