package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify/bundle"
)

// demoQuestion is what an examiner asks of the demo's firm.
const demoQuestion = `{case: DEMO-1, asked_by: an examiner, from: {tier: test}, to: {tier: production}}`

// examination is the file that answers it, and report what is in it for people.
func (x *examiner) examination() (file, report string) {
	return filepath.Join(x.receipts, "case.zip"), filepath.Join(x.receipts, "report.html")
}

// export has the log write an examination file and checks it as an examiner does:
// with the key, and without the log.
func (x *examiner) export(ctx context.Context) (string, error) {
	e, err := x.client.Export(ctx, &apiv1.ExportRequest{Question: demoQuestion}, nil)
	if err != nil {
		return "", err
	}
	defer e.Close()
	if _, err := e.Next(); err != nil {
		return "", err
	}
	var file bytes.Buffer
	if _, err := e.WriteTo(&file); err != nil {
		return "", err
	}
	result, err := x.checkFile(ctx, file.Bytes())
	if err != nil {
		return "", err
	}
	if result.Verdict != bundle.Verified && result.Verdict != bundle.DeclaredGaps || len(result.Parts) != 1 {
		return "", fmt.Errorf("%s: %s", result.Verdict, result.Reason)
	}
	path, report := x.examination()
	// Nothing rests on these files: the log writes them again.
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		return "", err
	}
	if err := unzipTo(report, file.Bytes()); err != nil {
		return "", err
	}
	return fmt.Sprintf("test to production: %d accesses, in %d bytes; for people: %s", result.Parts[0].Answers, file.Len(), report), nil
}

func (x *examiner) checkFile(ctx context.Context, file []byte) (*bundle.Result, error) {
	return bundle.Check(ctx, []bundle.File{{R: bytes.NewReader(file), Size: int64(len(file))}}, bundle.Trust{Policy: x.policy})
}

// unzipTo writes report.html of an examination file beside it.
func unzipTo(path string, file []byte) error {
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return err
	}
	f, err := z.Open("report.html")
	if err != nil {
		return err
	}
	defer f.Close()
	report, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	return os.WriteFile(path, report, 0o600)
}

// flips is how many bytes of an examination file are flipped, evenly spread.
const flips = 24

// flippedFile flips bytes all over the examination file: each must be caught.
func (x *examiner) flippedFile(ctx context.Context) (string, error) {
	path, _ := x.examination()
	file, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	caught := ""
	for i := range flips {
		at := (2*i + 1) * len(file) / (2 * flips)
		file[at] ^= 1
		result, err := x.checkFile(ctx, file)
		if err != nil {
			return "", err
		}
		if result.Verdict != bundle.Failed {
			return "", fmt.Errorf("byte %d of the file was flipped, and the verdict is %s", at, result.Verdict)
		}
		if result.Reason == "" {
			return "", errors.New("a verdict without a reason")
		}
		if caught == "" {
			caught = result.Reason
		}
		file[at] ^= 1
	}
	return fmt.Sprintf("%d tried, all over the file; the first says: %s", flips, caught), nil
}
