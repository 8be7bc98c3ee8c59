package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/daybook-ledger/daybook/verify"
)

const (
	checkpointFile = "checkpoint"
	maxCheckpoint  = 1 << 20
	maxBundle      = verify.TileWidth * (2 + 1<<16 - 1)

	firstPause  = 100 * time.Millisecond
	longPause   = 5 * time.Second
	answerLimit = 2 * time.Minute // of one request
)

// A RefusedError says that the source does not show this to who asks.
type RefusedError struct {
	Status string // of the answer
	Text   string // why, in the source's words, as far as they are printable
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the source refuses: %s: %s", e.Status, e.Text)
}

// source is the log that is mirrored. It is safe for concurrent use.
type source struct {
	base     string
	client   *http.Client
	token    func() (string, error)
	patience time.Duration
}

func newSource(c *Config) (*source, error) {
	u, err := url.Parse(c.From)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is no URL of a log: give http://HOST:PORT/ or https://HOST:PORT/", c.From)
	}
	if c.Token != nil && u.Scheme != "https" {
		return nil, errors.New("a token is not sent in clear: give an https URL")
	}
	return &source{base: strings.TrimSuffix(u.String(), "/") + "/", client: c.Client, token: c.Token, patience: c.Patience}, nil
}

// get fetches a resource of at most limit bytes. What may pass is tried again, until
// patience ends.
func (s *source) get(ctx context.Context, path string, limit int) ([]byte, error) {
	patience, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		b, wait, err := s.try(ctx, path, limit)
		if err == nil || wait < 0 {
			return b, err
		}
		wait = max(wait, pause/2+rand.N(pause))
		select {
		case <-time.After(wait):
		case <-patience.Done():
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, fmt.Errorf("%w (tried for %v: what was fetched is kept, run it again)", err, s.patience)
		}
	}
}

// try makes one request. wait is how long to wait at least before the next; under 0:
// there is no use in one.
func (s *source) try(ctx context.Context, path string, limit int) (b []byte, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, nil)
	if err != nil {
		return nil, -1, err
	}
	if s.token != nil {
		token, err := s.token()
		if err != nil {
			return nil, -1, fmt.Errorf("reading the token: %w", err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		wait, err := refused(answer)
		return nil, wait, fmt.Errorf("GET %s: %w", path, err)
	}
	b, err = io.ReadAll(io.LimitReader(answer.Body, int64(limit)+1))
	if err != nil {
		return nil, 0, fmt.Errorf("GET %s: %w", path, err)
	}
	if len(b) > limit {
		return nil, -1, fmt.Errorf("GET %s: over %d bytes", path, limit)
	}
	return b, 0, nil
}

// refused says what an answer that is none means.
func refused(answer *http.Response) (wait time.Duration, err error) {
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096)) // why is a help, no more
	var st struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &st) == nil && st.Message != "" {
		text = []byte(st.Message)
	}
	err = &RefusedError{printable(answer.Status), printable(string(text))}
	switch code := answer.StatusCode; {
	case code == http.StatusTooManyRequests || code >= 500:
		seconds, _ := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 31)
		return time.Duration(seconds) * time.Second, errors.New(err.Error())
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return -1, err
	}
	return -1, errors.New(err.Error())
}

// printable is a text of strangers as a terminal may be given it, on one line.
func printable(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text))
}
