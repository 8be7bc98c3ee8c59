package server_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/config"
)

// retryAfter is when an error says to try again; 0 where it does not.
func retryAfter(err error) time.Duration {
	for _, d := range status.Convert(err).Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok {
			return retry.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

func TestACallerHasItsRateAndNobodyElses(t *testing.T) {
	w := newWorldOn(t, world{config: func(c *config.Config) {
		few := config.Listener{RequestsPerSecond: 0.001, Burst: 3}
		c.Listeners = config.Listeners{Query: few, QueryHTTP: few, Public: few}
	}})
	ask := func(id string) error {
		q := apiv1.NewQueryServiceClient(dial(t, w.addresses.Query, w.tlsOf(t, w.ca, id, time.Now())))
		_, err := q.GetCheckpoint(t.Context(), &apiv1.GetCheckpointRequest{})
		return err
	}
	for range 3 {
		if err := ask(producer); err != nil {
			t.Fatal(err)
		}
	}
	err := ask(producer)
	wantReason(t, err, server.ReasonRate)
	if status.Code(err) != codes.ResourceExhausted || retryAfter(err) <= 0 {
		t.Errorf("error is %v, to be tried again after %v", err, retryAfter(err))
	}
	if err := ask(operator); err != nil {
		t.Errorf("another caller: %v", err)
	}
	c := web(t, w.tlsOf(t, w.ca, producer, time.Now()))
	for _, url := range []string{"https://" + w.addresses.QueryHTTP + "/v1/checkpoint", "http://" + w.addresses.Public + "/checkpoint"} {
		var code int
		for range 4 {
			code, _ = get(t, c, url)
		}
		if code != http.StatusTooManyRequests {
			t.Errorf("GET %s: %d", url, code)
		}
	}
}

func TestConnectionsBeyondTheLimitAreClosed(t *testing.T) {
	w := newWorldOn(t, world{config: func(c *config.Config) { c.Listeners.Public.MaxConnections = 2 }})
	var open []net.Conn
	for range 2 {
		conn, err := net.Dial("tcp", w.addresses.Public)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		open = append(open, conn)
	}
	answers := func() bool {
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
		resp, err := c.Get("http://" + w.addresses.Public + "/checkpoint")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}
	if answers() {
		t.Error("a third connection was served")
	}
	open[0].Close()
	for deadline := time.Now().Add(10 * time.Second); !answers(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a closed connection is counted still")
		}
	}
	_, body := get(t, web(t, w.tlsOf(t, w.ca, "", time.Now())), "https://"+w.addresses.Operations+"/metrics")
	if !contains(body, `daybook_connections_refused_total{listener="public"}`) {
		t.Error("the metrics do not tell of it")
	}
}

func TestMessagesBeyondTheLimitAreRefused(t *testing.T) {
	w := newWorldOn(t, world{config: func(c *config.Config) {
		c.Listeners.Query.MaxMessageBytes, c.Listeners.QueryHTTP.MaxMessageBytes = 2048, 2048
	}})
	long := strings.Repeat("a", 4096)
	_, err := w.query(t).ListEntries(t.Context(), &apiv1.ListEntriesRequest{Actor: long})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a long message: %v", err)
	}
	resp, err := web(t, w.tlsOf(t, w.ca, producer, time.Now())).Post("https://"+w.addresses.QueryHTTP+"/v1/receipts:batch", "application/json",
		strings.NewReader(`{"tree_size": "1`+strings.Repeat(" ", 4096)+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode < 400 {
		t.Errorf("a long body: %s", resp.Status)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+w.addresses.QueryHTTP+"/v1/checkpoint", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Long", strings.Repeat("a", 64<<10))
	if resp, err := web(t, w.tlsOf(t, w.ca, producer, time.Now())).Do(r); err == nil {
		if resp.Body.Close(); resp.StatusCode < 400 {
			t.Errorf("long headers: %s", resp.Status)
		}
	}
}
