package server_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// retryHint returns the wait that an error asks for; 0 where it asks for none.
func retryHint(err error) time.Duration {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// TestLowDisk: appends and streams end with a typed error and a hint, reading
// goes on, and readiness, health, status and metrics say so, until there is room.
func TestLowDisk(t *testing.T) {
	var free atomic.Uint64
	free.Store(50 << 30)
	w := newWorldOn(t, world{disk: func() (uint64, uint64, error) { return free.Load(), 100 << 30, nil }})
	ingest := w.ingest(t)
	run := openRun(t, ingest)
	next := uint64(1)
	send := func() error {
		_, err := ingest.Append(t.Context(), batch(t, run, next, 1))
		if err == nil {
			next++
		}
		return err
	}
	if err := send(); err != nil {
		t.Fatal(err)
	}
	stream, err := ingest.AppendStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	free.Store(1 << 30)
	for err = send(); err == nil; err = send() {
		time.Sleep(10 * time.Millisecond) // it is measured each second
	}
	wantReason(t, err, "DISK_LOW")
	if status.Code(err) != codes.ResourceExhausted || retryHint(err) < time.Second {
		t.Errorf("refused with %v, to be tried again in %v", status.Code(err), retryHint(err))
	}
	if err := stream.Send(&apiv1.AppendStreamRequest{Append: batch(t, run, next, 1)}); err != nil {
		t.Fatal(err)
	}
	if _, err = stream.Recv(); retryHint(err) < time.Second {
		t.Errorf("a stream ends with %v", err)
	}
	wantReason(t, err, "DISK_LOW")
	if _, err := w.query(t).GetCheckpoint(t.Context(), &apiv1.GetCheckpointRequest{}); err != nil {
		t.Errorf("reading on a low disk: %v", err)
	}
	w.wantReadiness(t, http.StatusServiceUnavailable, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	admin := apiv1.NewAdminServiceClient(dial(t, w.addresses.Admin, w.tlsOf(t, w.ca, operator, time.Now())))
	st, err := admin.GetStatus(t.Context(), &apiv1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if d := st.GetDisk(); !d.GetLow() || d.GetFreeBytes() != 1<<30 || d.GetLowBytes() != 2<<30 || !contains(st.GetNotReady(), "low") || st.GetShut() != "" {
		t.Errorf("status %v", st)
	}
	metrics := w.operations(t, "/metrics", http.StatusOK)
	for _, want := range []string{"daybook_disk_low 1\n", "daybook_disk_free_bytes 1.073741824e+09\n", `reason="DISK_LOW"`, "daybook_commit_stalls_total 0\n"} {
		if !contains(metrics, want) {
			t.Errorf("the metrics lack %q", want)
		}
	}

	free.Store(50 << 30)
	for err = send(); err != nil; err = send() {
		wantReason(t, err, "DISK_LOW")
		time.Sleep(10 * time.Millisecond)
	}
	w.wantReadiness(t, http.StatusOK, grpc_health_v1.HealthCheckResponse_SERVING)
}

// wantReadiness fails unless the readiness endpoint answers so, and the health
// of ingest becomes so: it is looked at twice a second.
func (w *world) wantReadiness(t *testing.T, code int, health grpc_health_v1.HealthCheckResponse_ServingStatus) {
	t.Helper()
	w.operations(t, "/readyz", code)
	client := grpc_health_v1.NewHealthClient(dial(t, w.addresses.Ingest, w.tlsOf(t, w.ca, producer, time.Now())))
	watch, err := client.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: apiv1.IngestService_ServiceDesc.ServiceName})
	if err != nil {
		t.Fatal(err)
	}
	for {
		got, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if got.GetStatus() == health {
			return
		}
	}
}

// operations reads a page of the operations listener.
func (w *world) operations(t *testing.T, path string, code int) string {
	t.Helper()
	resp, err := web(t, w.tlsOf(t, w.ca, operator, time.Now())).Get("https://" + w.addresses.Operations + path)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != code {
		t.Errorf("%s answers %d, want %d: %s", path, resp.StatusCode, code, strings.TrimSpace(string(body)))
	}
	return string(body)
}

// TestBackPressure: while the disk hangs, a unary append is refused with a hint
// once its producer's share of the queue is taken, and a stream is not read any
// further; when the disk goes on, the stream gets an answer to each of its
// batches.
func TestBackPressure(t *testing.T) {
	var hangs atomic.Bool
	gate := make(chan struct{})
	var open sync.Once
	release := func() { open.Do(func() { close(gate) }) }
	defer release()
	w := newWorldOn(t, world{queue: 1 << 20, fs: errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if hangs.Load() && strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			<-gate
		}
		return nil
	}))})
	ingest := w.ingest(t)
	streaming, single := openRun(t, ingest), openRun(t, ingest)
	stream, err := ingest.AppendStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const batches, events = 400, 100
	hangs.Store(true)
	sent := make(chan error, 1)
	go func() {
		for i := range uint64(batches) {
			if err := stream.Send(&apiv1.AppendStreamRequest{Append: batch(t, streaming, 1+i*events, events)}); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()

	for number := uint64(1); ; number += events {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err := ingest.Append(ctx, batch(t, single, number, events))
		cancel()
		if err == nil {
			t.Fatal("answered while the disk hangs")
		}
		if status.Code(err) == codes.DeadlineExceeded {
			continue // it waits in the queue
		}
		wantReason(t, err, "BUSY")
		if wait := retryHint(err); wait < 10*time.Millisecond || wait > 10*time.Second {
			t.Errorf("to be tried again in %v", wait)
		}
		break
	}
	admin := apiv1.NewAdminServiceClient(dial(t, w.addresses.Admin, w.tlsOf(t, w.ca, operator, time.Now())))
	if st, err := admin.GetStatus(t.Context(), &apiv1.GetStatusRequest{}); err != nil || st.GetQueueBytes() > 1<<20 {
		t.Errorf("%d bytes wait in a queue of 1 MiB, %v", st.GetQueueBytes(), err)
	}

	hangs.Store(false)
	release()
	for i := range uint64(batches) {
		answer, err := stream.Recv()
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if answer.GetFirstNumber() != 1+i*events {
			t.Fatalf("answer %d is of number %d", i, answer.GetFirstNumber())
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
