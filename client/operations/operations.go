// Package operations reads the figures that a server shows to those who keep it
// running.
//
//	reader, err := operations.Open(operations.Config{Addresses: "log/addresses.json", CA: "log/ca/bundle.pem"})
//	figures, err := reader.Figures(ctx)
//	fmt.Println(figures["daybook_size"], figures["process_resident_memory_bytes"])
package operations

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// maxAnswer bounds an answer of the listener, in bytes.
	maxAnswer = 16 << 20
	// timeout bounds a call.
	timeout = 10 * time.Second
)

// Config says where the operations listener is.
type Config struct {
	// Address is its host:port; empty: read from Addresses at each call, so that a
	// server that comes back on another port is found again.
	Address string
	// Addresses is the path of the server's addresses file; may be empty.
	Addresses string
	// CA is the path of the PEM bundle the server's certificate is checked with.
	CA string
}

// ErrNoAddress says that nothing tells where the listener is.
var ErrNoAddress = errors.New("no operations address is known: give it by --operations-addr")

// A Reader reads one server's figures. Safe for concurrent use.
type Reader struct {
	config Config
	http   *http.Client
}

// Open makes a reader; it connects at the first call.
func Open(c Config) (*Reader, error) {
	if c.Address == "" && c.Addresses == "" {
		return nil, ErrNoAddress
	}
	bundle, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("reading the CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("reading the CA: no certificate in %s", c.CA)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, MaxIdleConns: 1, DisableCompression: true}
	return &Reader{config: c, http: &http.Client{Transport: transport, Timeout: timeout}}, nil
}

// Close ends the connection.
func (r *Reader) Close() { r.http.CloseIdleConnections() }

func (r *Reader) address() (string, error) {
	if r.config.Address != "" {
		return r.config.Address, nil
	}
	text, err := os.ReadFile(r.config.Addresses)
	if err != nil {
		return "", fmt.Errorf("reading addresses: %w", err)
	}
	var found struct{ Operations string }
	if err := json.Unmarshal(text, &found); err != nil {
		return "", fmt.Errorf("parsing %s: %w", r.config.Addresses, err)
	}
	if found.Operations == "" {
		return "", ErrNoAddress
	}
	return found.Operations, nil
}

// Figures returns the server's metrics by name, those of several labels added up;
// of a histogram the _sum and _count.
func (r *Reader) Figures(ctx context.Context) (map[string]float64, error) {
	address, err := r.address()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	answer, err := r.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading metrics: %s", answer.Status)
	}
	figures, err := Parse(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	return figures, nil
}

// Parse reads the Prometheus text format as Figures shows it. Lines it does not
// understand are errors.
func Parse(text io.Reader) (map[string]float64, error) {
	figures := map[string]float64{}
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, rest := line, ""
		if i := strings.IndexAny(line, "{ "); i >= 0 {
			name, rest = line[:i], line[i:]
		}
		if strings.HasPrefix(rest, "{") {
			rest = rest[strings.LastIndexByte(rest, '}')+1:]
		}
		fields := strings.Fields(rest) // value, and maybe a timestamp
		if name == "" || len(fields) == 0 || len(fields) > 2 {
			return nil, fmt.Errorf("not a metric: %.60q", line)
		}
		value, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return nil, fmt.Errorf("not a metric: %.60q", line)
		}
		if !strings.HasSuffix(name, "_bucket") {
			figures[name] += value
		}
	}
	return figures, lines.Err()
}
