package server

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// downloadStep is how long a client may take for one write of a download.
const downloadStep = exportStall + 10*time.Second

// download is POST /v1/export: the question is the body, and one part of the file
// is the answer's. It calls the ExportService as every other request on REST calls
// its service, so that the same rules hold.
func (s *Server) download(mux *runtime.ServeMux) runtime.HandlerFunc {
	client := apiv1.NewExportServiceClient(s.gateway.conn)
	fail := func(w http.ResponseWriter, r *http.Request, err error) {
		restError(r.Context(), mux, nil, w, r, err)
	}
	return func(w http.ResponseWriter, r *http.Request, _ map[string]string) {
		request, err := downloadRequest(r)
		if err != nil {
			writeStatus(w, statusOf(r.Context(), s.o.Logger, r.URL.Path, err))
			return
		}
		// Making a file, and sending it, takes longer than another answer may.
		control := http.NewResponseController(w)
		if err := errors.Join(control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{})); err != nil {
			s.o.Logger.Debug("the time of a download is bounded", "error", err)
		}
		ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(r.Context(), forwardIdentity(r.Context(), r)))
		defer cancel()
		stream, err := client.Export(ctx, request)
		if err != nil {
			fail(w, r, err)
			return
		}
		part, err := firstPart(stream)
		if err != nil {
			fail(w, r, err)
			return
		}
		describe(w.Header(), part)
		if err := pour(w, control, stream, part.GetSize()); err != nil {
			s.o.Logger.Debug("a download ended early", "error", err)
			panic(http.ErrAbortHandler) // the client must not take what it has for the whole
		}
	}
}

// downloadRequest is what the body and the parameters of a request ask for.
func downloadRequest(r *http.Request) (*apiv1.ExportRequest, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, badRequest("question: reading it: %v", err)
	}
	request := new(apiv1.ExportRequest)
	if err := (strictParameters{}).Parse(request, r.URL.Query(), utilities.NewDoubleArray([][]string{{"question"}})); err != nil {
		return nil, badRequest("%v", err)
	}
	if r.URL.Query().Has("question") {
		return nil, badRequest("question: it is the body of the request")
	}
	request.Question = string(text)
	return request, nil
}

// firstPart reads up to the head of the first part that is sent.
func firstPart(stream grpc.ServerStreamingClient[apiv1.ExportResponse]) (*apiv1.ExportPart, error) {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			err = &requestError{codes.Internal, ReasonInternal, "no part came"}
		}
		if err != nil {
			return nil, err
		}
		if p := m.GetPart(); p != nil {
			return p, nil
		}
	}
}

// describe says what a download is. A digest lets a client know that it has all of
// it.
func describe(h http.Header, p *apiv1.ExportPart) {
	name := "examination"
	if p.GetParts() > 1 {
		name += fmt.Sprintf("-%03d", p.GetNumber())
	}
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Length", decimal(p.GetSize()))
	h.Set("Content-Disposition", `attachment; filename="`+name+`.zip"`)
	h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(p.GetSha256())+":")
	h.Set("Daybook-Part", fmt.Sprintf("%d/%d", p.GetNumber(), p.GetParts()))
	h.Set("Daybook-Tree-Size", decimal(p.GetTreeSize()))
	h.Set("Daybook-Manifest-SHA256", strings.ToLower(fmt.Sprintf("%x", p.GetManifestSha256())))
}

// pour writes the bytes of one part.
func pour(w io.Writer, control *http.ResponseController, stream grpc.ServerStreamingClient[apiv1.ExportResponse], left uint64) error {
	for left > 0 {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		b := m.GetChunk()
		if len(b) == 0 || uint64(len(b)) > left {
			return errors.New("a part has another length than its head says")
		}
		_ = control.SetWriteDeadline(time.Now().Add(downloadStep)) // where it cannot be set, the stall of the export ends it
		if _, err := w.Write(b); err != nil {
			return err
		}
		left -= uint64(len(b))
	}
	return nil
}
