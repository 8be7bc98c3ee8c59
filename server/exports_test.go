package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/witness"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/bundle"
	"github.com/daybook-ledger/daybook/verify/bundle/report"
	"github.com/daybook-ledger/daybook/verify/cosigntest"
)

// An exported file, whole.
type exported struct {
	head *apiv1.ExportPart
	file []byte
}

func (w *world) exports(t *testing.T, id string) apiv1.ExportServiceClient {
	t.Helper()
	return apiv1.NewExportServiceClient(dial(t, w.addresses.Query, w.tlsOf(t, w.ca, id, time.Now())))
}

// export receives all parts of an export.
func export(t *testing.T, c apiv1.ExportServiceClient, r *apiv1.ExportRequest) ([]exported, error) {
	t.Helper()
	stream, err := c.Export(t.Context(), r)
	if err != nil {
		return nil, err
	}
	var parts []exported
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil {
			return parts, err
		}
		switch {
		case m.GetPart() != nil:
			parts = append(parts, exported{head: m.GetPart()})
		case len(m.GetChunk()) > 0:
			p := &parts[len(parts)-1]
			p.file = append(p.file, m.GetChunk()...)
		case m.GetProgress() == nil:
			t.Errorf("an empty message %v", m)
		}
	}
}

// mustExport is export of one part, checked as an examiner does.
func (w *world) mustExport(t *testing.T, r *apiv1.ExportRequest) exported {
	t.Helper()
	parts, err := export(t, w.exports(t, producer), r)
	if err != nil || len(parts) != 1 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	w.checkExported(t, parts...)
	return parts[0]
}

func (w *world) checkExported(t *testing.T, parts ...exported) *bundle.Result {
	t.Helper()
	policy, err := verify.KeyPolicy(w.vkey)
	if err != nil {
		t.Fatal(err)
	}
	var files []bundle.File
	for _, p := range parts {
		sum := sha256.Sum256(p.file)
		if uint64(len(p.file)) != p.head.GetSize() || !bytes.Equal(sum[:], p.head.GetSha256()) {
			t.Errorf("part %v came as %d bytes", p.head, len(p.file))
		}
		files = append(files, bundle.File{R: bytes.NewReader(p.file), Size: int64(len(p.file))})
	}
	result, err := bundle.Check(t.Context(), files, bundle.Trust{Policy: policy})
	if err != nil || result.Verdict != bundle.Verified {
		t.Fatalf("%+v, %v", result, err)
	}
	return result
}

// wantEmptySpool waits until nothing is left of exports.
func (w *world) wantEmptySpool(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		left, err := os.ReadDir(filepath.Join(w.dir, "exports"))
		if err == nil && len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d files are left, %v", len(left), err)
		}
	}
}

// fillWith appends n accesses.
func (w *world) fillWith(t *testing.T, n int) {
	t.Helper()
	in := w.ingest(t)
	run := openRun(t, in)
	for first := 1; first <= n; first += 500 {
		if _, err := in.Append(t.Context(), batch(t, run, uint64(first), min(500, n-first+1))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnExportIsCheckedAndRecorded(t *testing.T) {
	w := newWorldOn(t, recorded())
	w.fillWith(t, 20)
	r := &apiv1.ExportRequest{Question: "case: C-1\nitem: \"7\"\nrecipient: FINRA\nasked_by: J. Examiner\nfrom: web\nto: db\n"}
	got := w.mustExport(t, r)
	list := activities(t, w, daybookv1.ActivityType_ACTIVITY_TYPE_EXPORTED)
	if len(list) != 1 {
		t.Fatalf("%d entries tell of it", len(list))
	}
	a := list[0]
	for _, want := range []string{`"case":"C-1"`, `"item":"7"`, `"recipient":"FINRA"`, `"asked_by":"J. Examiner"`, `"question_sha256":"`,
		fmt.Sprintf(`"size":%d`, got.head.GetTreeSize()), `"part":1,"parts":1`, hex.EncodeToString(got.head.GetManifestSha256())} {
		if !strings.Contains(a.GetDetail(), want) {
			t.Errorf("%s is not in %s", want, a.GetDetail())
		}
	}
	if a.GetActor() != producer || a.GetMethod() != "ExportService/Export" || a.GetListener() != "query" || a.GetCount() != 1 {
		t.Errorf("the entry says %v", a)
	}
	raw, err := w.log.Entry(t.Context(), got.head.GetEntryIndex())
	if err != nil || !bytes.Contains(raw, []byte(a.GetDetail())) {
		t.Errorf("entry %d is another, %v", got.head.GetEntryIndex(), err)
	}
	w.wantEmptySpool(t)

	// The same question at the same checkpoint gives the same bytes, whatever came
	// after, and on REST too.
	w.fillWith(t, 30)
	r.TreeSize = got.head.GetTreeSize()
	if again := w.mustExport(t, r); !bytes.Equal(again.file, got.file) {
		t.Error("the same question at the same checkpoint gave other bytes")
	}
	w.download(t, r, got.file)
	// At the newest checkpoint it is another answer.
	r.TreeSize = 0
	if newer := w.mustExport(t, r); bytes.Equal(newer.file, got.file) {
		t.Error("entries that came after are not in the answer")
	}
}

// download asks on REST, and compares.
func (w *world) download(t *testing.T, r *apiv1.ExportRequest, want []byte) {
	t.Helper()
	c := web(t, w.tlsOf(t, w.ca, producer, time.Now()))
	url := fmt.Sprintf("https://%s/v1/export?tree_size=%d", w.addresses.QueryHTTP, r.GetTreeSize())
	resp, err := c.Post(url, "application/yaml", strings.NewReader(r.GetQuestion()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/zip" || resp.Header.Get("Daybook-Part") != "1/1" {
		t.Fatalf("%d %v, %v: %.300s", resp.StatusCode, resp.Header, err, body)
	}
	if !bytes.Equal(body, want) {
		t.Errorf("REST gave %d other bytes", len(body))
	}
	for _, bad := range []string{"?first_part=2", "?split_bytes=1", "?tree_sise=4", "?question=x", "?tree_size=2&tree_size=3"} {
		resp, err := c.Post("https://"+w.addresses.QueryHTTP+"/v1/export"+bad, "application/yaml", strings.NewReader(r.GetQuestion()))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", bad, resp.Status)
		}
	}
}

func TestAnExportIsRecordedBeforeItsFirstByte(t *testing.T) {
	var w *world
	entered, release := make(chan struct{}, 1), make(chan error)
	on := world{options: func(o *server.Options) {
		record := o.Log.Record
		o.Record = func(ctx context.Context, a *daybookv1.Activity) (uint64, error) {
			if a.GetType() == daybookv1.ActivityType_ACTIVITY_TYPE_EXPORTED {
				entered <- struct{}{}
				if err := <-release; err != nil {
					return 0, err
				}
			}
			return record(ctx, a)
		}
	}}
	w = newWorldOn(t, on)
	w.fillWith(t, 5)
	stream, err := w.exports(t, producer).Export(t.Context(), &apiv1.ExportRequest{Question: "{}"})
	if err != nil {
		t.Fatal(err)
	}
	var parts atomic.Int64
	ended := make(chan error, 1)
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			if m.GetProgress() == nil {
				parts.Add(1)
			}
		}
	}()
	<-entered // the file is made; its entry is not durable
	if n := len(activities(t, w, daybookv1.ActivityType_ACTIVITY_TYPE_EXPORTED)); n != 0 || parts.Load() != 0 {
		t.Errorf("%d entries, and %d messages of the part", n, parts.Load())
	}
	release <- errors.New("the log does not take it")
	if err := <-ended; status.Code(err) != codes.Internal || parts.Load() != 0 {
		t.Errorf("%d messages of a part that was not recorded, then %v", parts.Load(), err)
	}
	w.wantEmptySpool(t)
}

func TestExportsAreRefused(t *testing.T) {
	w := limitedWorld(t)
	w.fillWith(t, 3)
	const reader = "spiffe://people.example/whole"
	ask := func(question string, change ...func(*apiv1.ExportRequest)) *apiv1.ExportRequest {
		r := &apiv1.ExportRequest{Question: question}
		for _, f := range change {
			f(r)
		}
		return r
	}
	for _, c := range []struct {
		name, who string
		r         *apiv1.ExportRequest
		reason    string
	}{
		{"of a reader of some domains", "spiffe://people.example/web", ask("from: web"), server.ReasonNotAllowed},
		{"of a producer", producer, ask("from: web"), server.ReasonNotAllowed},
		{"of nothing", reader, ask(""), server.ReasonBadRequest},
		{"of what is no question", reader, ask("form: web"), server.ReasonBadRequest},
		{"of a question too long", reader, ask("case: " + strings.Repeat("x", 64<<10)), server.ReasonBadRequest},
		{"of a place nobody knows", reader, ask("{period: 2026-Q2, zone: Mars/Olympus}"), server.ReasonBadRequest},
		{"in parts too small", reader, ask("{}", func(r *apiv1.ExportRequest) { r.SplitBytes = 1000 }), server.ReasonBadRequest},
		{"in parts too large", reader, ask("{}", func(r *apiv1.ExportRequest) { r.SplitBytes = 4 << 30 }), server.ReasonBadRequest},
		{"at a size that is not archived", reader, ask("{}", func(r *apiv1.ExportRequest) { r.TreeSize = 2 }), server.ReasonNotFound},
		{"at a size to come", reader, ask("{}", func(r *apiv1.ExportRequest) { r.TreeSize = 1 << 40 }), server.ReasonNotFound},
		{"without any close", reader, ask("{}", func(r *apiv1.ExportRequest) { r.NoClose = true }), server.ReasonNotFound},
		{"of entries to come", reader, ask("range: {first: 0, end: 1000}"), server.ReasonBadRequest},
		{"from a part that is not there", reader, ask("{}", func(r *apiv1.ExportRequest) { r.FirstPart = 2 }), server.ReasonBadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			parts, err := export(t, w.exports(t, c.who), c.r)
			if wantReason(t, err, c.reason); len(parts) != 0 {
				t.Errorf("%d parts came", len(parts))
			}
			if strings.HasPrefix(c.name, "of a reader of some") && !contains(err.Error(), "ask a reader of all") {
				t.Errorf("it does not say what to do: %v", err)
			}
		})
	}
	w.wantEmptySpool(t)
}

// TestAClientThatTakesNothingIsGivenUp: one that stops reading, and one that is
// gone, hold neither files nor goroutines.
func TestAClientThatTakesNothingIsGivenUp(t *testing.T) {
	w := newWorldOn(t, world{options: func(o *server.Options) { o.ExportStall = 200 * time.Millisecond }})
	w.fillWith(t, 4000)
	still := w.begun(t, t.Context())
	ctx, leave := context.WithCancel(t.Context())
	w.begun(t, ctx)
	leave()
	w.wantEmptySpool(t)
	w.wantFree(t)
	w.wantNoExporter(t)
	var err error
	for err == nil {
		_, err = still.Recv()
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("it ended with %v", err)
	}
}

// begun is an export whose part has begun to come.
func (w *world) begun(t *testing.T, ctx context.Context) apiv1.ExportService_ExportClient {
	t.Helper()
	stream, err := w.exports(t, producer).Export(ctx, &apiv1.ExportRequest{Question: "{}"})
	if err != nil {
		t.Fatal(err)
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.GetPart() != nil {
			return stream
		}
	}
}

// wantNoExporter waits until no goroutine makes or sends a file.
func (w *world) wantNoExporter(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 4<<20)
	for range 3000 {
		if !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("server.(*exporter)")) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("a goroutine goes on with an export that was given up")
}

func TestTwoExportsAtOnceAndACancelledOne(t *testing.T) {
	w := newWorld(t)
	w.fillWith(t, 4000)
	ctx, cancel := context.WithCancel(t.Context())
	for range 2 {
		w.begun(t, ctx)
	}
	_, err := export(t, w.exports(t, producer), &apiv1.ExportRequest{Question: "{}"})
	wantReason(t, err, server.ReasonBusy)
	cancel()
	w.wantEmptySpool(t)
	w.wantFree(t)
	w.mustExport(t, &apiv1.ExportRequest{Question: "{}"})
}

// wantFree waits until an export is taken: a place is free a moment after its files
// are gone.
func (w *world) wantFree(t *testing.T) {
	t.Helper()
	for range 3000 {
		_, err := export(t, w.exports(t, producer), &apiv1.ExportRequest{Question: "from: nowhere"})
		if err == nil {
			return
		}
		if reason(err) != server.ReasonBusy {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no place becomes free")
}

func TestAStoppingServerEndsExports(t *testing.T) {
	w := newWorld(t)
	w.fillWith(t, 4000)
	stream, err := w.exports(t, producer).Export(t.Context(), &apiv1.ExportRequest{Question: "{}"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	w.end(t)
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("it ended with %v", err)
	}
	w.wantEmptySpool(t)
	// What a crash leaves is removed by the next start.
	if err := os.WriteFile(filepath.Join(w.dir, "exports", "12345"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.serve(t)
	w.wantEmptySpool(t)
}

func TestAnExportLeavesTheDiskItsRoom(t *testing.T) {
	var free atomic.Uint64
	free.Store(50 << 30)
	w := newWorldOn(t, world{disk: func() (uint64, uint64, error) { return free.Load(), 100 << 30, nil }})
	w.fillWith(t, 50)
	w.mustExport(t, &apiv1.ExportRequest{Question: "{}"})
	free.Store(2<<30 + 1<<20) // above the mark, but not by what a file takes
	_, err := export(t, w.exports(t, producer), &apiv1.ExportRequest{Question: "{}", NoClose: true})
	if wantReason(t, err, server.ReasonDiskLow); retryHint(err) <= 0 {
		t.Errorf("error is %v", err)
	}
	w.wantEmptySpool(t)
	free.Store(50 << 30)
	w.mustExport(t, &apiv1.ExportRequest{Question: "{}", NoClose: true})
}

// TestAShutLogExportsWhatIsArchived: an examiner can be answered when the log does
// not append.
func TestAShutLogExportsWhatIsArchived(t *testing.T) {
	w := newWorldOn(t, recorded())
	w.fillWith(t, 20)
	got := w.mustExport(t, &apiv1.ExportRequest{Question: "{}"})
	w.end(t)
	if err := os.MkdirAll(filepath.Join(w.dir, "evidence"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "evidence", "presented"), []byte("note"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.serve(t)
	_, err := export(t, w.exports(t, producer), &apiv1.ExportRequest{Question: "{}"})
	if wantReason(t, err, server.ReasonShut); !contains(err.Error(), "--no-close") {
		t.Errorf("error is %v", err)
	}
	again := w.mustExport(t, &apiv1.ExportRequest{Question: "{}", NoClose: true})
	if again.head.GetEntryIndex() != 0 || again.head.GetTreeSize() < got.head.GetTreeSize() {
		t.Errorf("the part says %v", again.head)
	}
}

func TestPartsAreCheckedAloneAndTogether(t *testing.T) {
	w := newWorldOn(t, world{config: func(c *config.Config) {}})
	w.fillWith(t, 1500)
	r := &apiv1.ExportRequest{Question: "{}", SplitBytes: 2 << 20}
	parts, err := export(t, w.exports(t, producer), r)
	if err != nil || len(parts) < 2 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	for _, p := range parts {
		w.checkExported(t, p)
	}
	w.checkExported(t, parts...)
	// An export that broke off goes on.
	r.FirstPart, r.TreeSize = 2, parts[0].head.GetTreeSize()
	rest, err := export(t, w.exports(t, producer), r)
	if err != nil || len(rest) != len(parts)-1 {
		t.Fatalf("%d of %d parts, %v", len(rest), len(parts), err)
	}
	for i, p := range rest {
		if !bytes.Equal(p.file, parts[1+i].file) {
			t.Errorf("part %d came as another", p.head.GetNumber())
		}
	}
}

// TestAnExportLeadsToAWitnessedCheckpoint, where the witnesses answer in time.
func TestAnExportLeadsToAWitnessedCheckpoint(t *testing.T) {
	w, c := witnessedWorld(t, true)
	w.fillWith(t, 20)
	policy, err := verify.ParsePolicy([]byte("log " + w.vkey + "\nwitness one " + c.key.VKey() + "\nquorum one\n"))
	if err != nil {
		t.Fatal(err)
	}
	claim := func(r *apiv1.ExportRequest) report.State {
		t.Helper()
		p := w.mustExport(t, r)
		result, err := bundle.Check(t.Context(), []bundle.File{{R: bytes.NewReader(p.file), Size: int64(len(p.file))}}, bundle.Trust{Policy: policy})
		if err != nil || len(result.Claims) != 5 {
			t.Fatalf("%+v, %v", result, err)
		}
		return result.Claims[4].State
	}
	for _, question := range []string{"from: web", "log: true"} {
		if got := claim(&apiv1.ExportRequest{Question: question}); got != report.Proved {
			t.Errorf("%s: countersigned is %s", question, got)
		}
	}
}

func TestAnExportDoesNotWaitForWitnessesForEver(t *testing.T) {
	c := cosigntest.Witness{Name: "witness.test/one", Type: cosigntest.Ed25519}
	w := newWorldOn(t, world{options: func(o *server.Options) { o.ExportWitnessWait = time.Millisecond }, witnesses: func(vkey string) *witness.Policy {
		p, err := witness.ReadPolicy([]byte("witness one "+c.VKey()+" http://127.0.0.1:1\nquorum one\n"), vkey)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}})
	w.fillWith(t, 5)
	w.mustExport(t, &apiv1.ExportRequest{Question: "{}"})
}
