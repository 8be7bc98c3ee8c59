package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/verify/bundle/question"
)

// exportResult is what `export --json` prints.
type exportResult struct {
	Verdict  string         `json:"verdict,omitempty"` // the weakest of all files; absent with --no-check
	Size     uint64         `json:"size"`              // of the checkpoint that the files lead to
	Entry    uint64         `json:"entry"`             // that says that it was exported; 0: it follows
	Question string         `json:"question_sha256"`
	Parts    uint32         `json:"parts"`
	Files    []exportedFile `json:"files"`
	// Open says why the files may not be all that was asked for; absent: they are.
	Open string `json:"open,omitempty"`
	// Unknown is what was asked for and nothing in the log has.
	Unknown []exportUnknown `json:"unknown,omitempty"`
}

// exportedFile is one file of an export.
type exportedFile struct {
	File     string `json:"file"`
	Part     uint32 `json:"part"`
	Bytes    uint64 `json:"bytes"`  // before encryption
	SHA256   string `json:"sha256"` // before encryption
	Manifest string `json:"manifest_sha256"`
	Verdict  string `json:"verdict,omitempty"`
}

func newExportResult(q *question.Question) *exportResult {
	sum := sha256.Sum256(q.Document())
	return &exportResult{Question: hex.EncodeToString(sum[:]), Files: []exportedFile{}}
}

// add adds a file that is written.
func (r *exportResult) add(path string, p *apiv1.ExportPart, said checked) {
	r.Size, r.Entry, r.Parts = p.GetTreeSize(), p.GetEntryIndex(), p.GetParts()
	if r.Verdict == "" || said.verdict != verdictGood {
		r.Verdict = said.verdict
	}
	r.Open, r.Unknown = said.open, said.unknown // the same in each part
	r.Files = append(r.Files, exportedFile{path, p.GetNumber(), p.GetSize(), hex.EncodeToString(p.GetSha256()), hex.EncodeToString(p.GetManifestSha256()), said.verdict})
}

// warn says what is no evidence of what the asker may have meant.
func (r *exportResult) warn(w io.Writer) {
	for _, u := range r.Unknown {
		fmt.Fprintf(w, "CAUTION: %s\n", u.Text)
		if u.Nearest != "" {
			fmt.Fprintf(w, "  did you mean %q?\n", u.Nearest)
		}
	}
	if r.Open != "" && len(r.Unknown) == 0 {
		fmt.Fprintf(w, "CAUTION: complete as accepted is not claimed: %s\n", r.Open)
	}
}

// print prints what was written.
func (c *exportCommand) print(w io.Writer, r *exportResult) error {
	if c.asJSON {
		return printJSON(w, r)
	}
	for _, f := range r.Files {
		verdict := f.Verdict
		if verdict == "" {
			verdict = "not checked"
		}
		fmt.Fprintf(w, "%s  %s, %d bytes, leads to the checkpoint of size %d\n", verdict, f.File, f.Bytes, r.Size)
		fmt.Fprintf(w, "  SHA-256 %s\n", f.SHA256)
	}
	recorded := "that it was exported follows in the log once it appends"
	if r.Entry != 0 {
		recorded = fmt.Sprintf("that it was exported is entry %d", r.Entry)
	}
	_, err := fmt.Fprintf(w, "%s; check it elsewhere with daybook-verify bundle --policy POLICY %s\n", recorded, r.Files[0].File)
	return err
}

// progress returns what shows how far the making is; it is silent where stderr is
// no terminal.
func (c *exportCommand) progress(cmd *cobra.Command) func(*apiv1.ExportProgress) {
	f, ok := cmd.ErrOrStderr().(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	var bar *progressbar.ProgressBar
	stage := ""
	return func(p *apiv1.ExportProgress) {
		if bar == nil || p.GetStage() != stage {
			if bar != nil {
				_ = bar.Finish()
			}
			total := int64(p.GetTotal())
			if total == 0 {
				total = -1
			}
			stage = p.GetStage()
			bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(f), progressbar.OptionSetDescription(stage),
				progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		}
		_ = bar.Set64(int64(p.GetDone()))
	}
}
