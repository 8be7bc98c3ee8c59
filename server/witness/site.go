package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/ledger"
	"github.com/daybook-ledger/daybook/verify"
)

const (
	// maxLines bounds an answer: 19 lines of ML-DSA-44.
	maxLines = 64 << 10
	// maxText is how much of a refusal is kept.
	maxText = 512
	// maxHeader bounds the header of an answer.
	maxHeader = 16 << 10
	// maxConflicts is how often a site may name another size in one request.
	maxConflicts = 3
	// maxRetryAfter bounds how long a site may ask to be left alone.
	maxRetryAfter = 10 * time.Minute
)

// A site is where one or several witnesses of the policy are asked.
type site struct {
	url       string // without a slash at its end
	witnesses []verify.Witness
	confirmed uint64 // the size that it confirmed last, as far as is known; owned by the one request in flight
}

// sitesOf groups the witnesses by their URL.
func sitesOf(policy *verify.Policy) ([]*site, error) {
	var sites []*site
	byURL := map[string]*site{}
	for _, w := range policy.Witnesses() {
		if w.URL == "" {
			continue // others may ask it
		}
		at := strings.TrimRight(w.URL, "/")
		u, err := url.Parse(at)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("witness %s: %.200q is no URL of http or https", w.Name, w.URL)
		}
		if byURL[at] == nil {
			byURL[at] = &site{url: at}
			sites = append(sites, byURL[at])
		}
		byURL[at].witnesses = append(byURL[at].witnesses, w)
	}
	return sites, nil
}

// name names the site's witnesses.
func (s *site) name() string {
	var names []string
	for _, w := range s.witnesses {
		names = append(names, w.Name)
	}
	return strings.Join(names, ",")
}

// A claimError says that a witness knows another history than ours, or says so.
type claimError struct {
	size uint64 // larger than the log; 0: another root at a size of ours
	text string
}

func (e *claimError) Error() string {
	if e.size != 0 {
		return fmt.Sprintf("it claims to know %d entries, which is more than the log has", e.size)
	}
	return "it claims that what it cosigned before is no part of this log: " + e.text
}

// errAhead: it knows a newer head of ours than the one it was asked for.
var errAhead = errors.New("it has cosigned a newer head")

// A refusedError is an answer that is no cosignature.
type refusedError struct {
	status int
	text   string
	after  time.Duration // from now on, not to be asked again before
}

func (e *refusedError) Error() string {
	if e.text == "" {
		return fmt.Sprintf("it answers %d", e.status)
	}
	return fmt.Sprintf("it answers %d: %s", e.status, e.text)
}

// ask asks for cosignatures of a head (c2sp.org/tlog-witness@v1.0.0,
// add-checkpoint) and returns the lines of the answer, which are not checked yet.
// Where the site confirmed another size last than is known here, it says so, and is
// asked again from there.
func (w *Witnesses) ask(ctx context.Context, s *site, h ledger.Head) ([]byte, error) {
	for range maxConflicts {
		old := s.confirmed
		if old > h.Size {
			old = 0 // its answer says what it has
		}
		status, header, body, err := w.post(ctx, s, old, h)
		if err != nil {
			return nil, err
		}
		if status == http.StatusOK {
			return body, nil
		}
		size, isSize := sizeOf(status, header, body)
		text := clean(body)
		switch {
		case isSize && size > w.o.Log.Head().Size:
			return nil, &claimError{size: size}
		case isSize && size > h.Size:
			s.confirmed = size
			return nil, errAhead
		case isSize && size == old:
			return nil, &refusedError{status: status, text: "it does not start from the size that it names"}
		case isSize:
			s.confirmed = size
		case status == http.StatusUnprocessableEntity || status == http.StatusConflict:
			return nil, &claimError{text: text}
		default:
			return nil, &refusedError{status, text, retryAfter(header)}
		}
	}
	return nil, &refusedError{status: http.StatusConflict, text: "it names another size each time"}
}

// post makes one request and reads its answer, bounded.
func (w *Witnesses) post(ctx context.Context, s *site, old uint64, h ledger.Head) (int, http.Header, []byte, error) {
	var proof []verify.Hash
	if old > 0 && old < h.Size {
		var err error
		if proof, err = w.o.Log.Consistency(ctx, old, h.Size); err != nil {
			return 0, nil, nil, fmt.Errorf("proving size %d from %d: %w", h.Size, old, err)
		}
	}
	body := fmt.Appendf(nil, "old %d\n", old)
	body = append(append(body, verify.FormatHashes(proof)...), '\n')
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/add-checkpoint", bytes.NewReader(append(body, h.Checkpoint...)))
	if err != nil {
		return 0, nil, nil, err
	}
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	return w.do(r, maxLines)
}

// do makes a request and reads at most limit bytes of the answer.
func (w *Witnesses) do(r *http.Request, limit int64) (int, http.Header, []byte, error) {
	answer, err := w.client.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return 0, nil, nil, fmt.Errorf("reading its answer: %w", err)
	}
	if int64(len(body)) > limit {
		return 0, nil, nil, fmt.Errorf("its answer is over %d bytes", limit)
	}
	return answer.StatusCode, answer.Header, body, nil
}

// shown gets what the witnesses of a site show to everybody as their newest
// checkpoint of this log (c2sp.org/tlog-witness, draft, below the submission
// prefix), if they show any.
func (w *Witnesses) shown(ctx context.Context, s *site) ([]byte, error) {
	sum := sha256.Sum256([]byte(w.o.Log.Origin()))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/"+hex.EncodeToString(sum[:])+"/checkpoint", nil)
	if err != nil {
		return nil, err
	}
	status, _, body, err := w.do(r, maxLines)
	if err == nil && status != http.StatusOK {
		err = &refusedError{status: status}
	}
	return body, err
}

// sizeOf reads the size that a site says it confirmed last: a 409 of the type
// text/x.tlog.size.
func sizeOf(status int, header http.Header, body []byte) (uint64, bool) {
	typ, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if status != http.StatusConflict || err != nil || typ != "text/x.tlog.size" {
		return 0, false
	}
	text, ended := strings.CutSuffix(string(body), "\n")
	n, err := strconv.ParseUint(text, 10, 63)
	return n, ended && err == nil && strconv.FormatUint(n, 10) == text
}

// retryAfter is how long a site asks to be left alone, in seconds.
func retryAfter(header http.Header) time.Duration {
	n, err := strconv.ParseUint(header.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*time.Second, maxRetryAfter)
}

// clean is the beginning of a text of strangers, on one line, printable.
func clean(text []byte) string {
	text = text[:min(len(text), maxText)]
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return ' '
		}
		return r
	}, string(text)))
}
