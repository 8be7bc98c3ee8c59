package drift_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/daybook-ledger/daybook/client/drift"
)

// serveDNS answers from master file lines, follows aliases, knows the wildcard
// *.wild.example.com, and fails for names under broken.example. It returns its
// address.
func serveDNS(t *testing.T, records ...string) string {
	t.Helper()
	byName := map[string][]dns.RR{}
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		byName[rr.Header().Name] = append(byName[rr.Header().Name], rr)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		name := q.Question[0].Name
		if strings.HasSuffix(name, "broken.example.") {
			m.Rcode = dns.RcodeServerFailure
		}
		for range 8 {
			rrs := byName[name]
			if strings.HasSuffix(name, ".wild.example.com.") && rrs == nil {
				rrs = byName["*.wild.example.com."]
			}
			if rrs == nil && m.Rcode == dns.RcodeSuccess {
				m.Rcode = dns.RcodeNameError
			}
			next := ""
			for _, rr := range rrs {
				if c, ok := rr.(*dns.CNAME); ok {
					next = c.Target
					m.Answer = append(m.Answer, rr)
				} else if rr.Header().Rrtype == q.Question[0].Qtype {
					m.Answer = append(m.Answer, rr)
				}
			}
			if name = next; name == "" {
				break
			}
		}
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp && strings.HasPrefix(q.Question[0].Name, "big.") {
			m.Answer, m.Truncated = nil, true
		}
		w.WriteMsg(m)
	})
	// Both protocols on one port: the port of UDP may be taken for TCP, rarely.
	var packets net.PacketConn
	var listener net.Listener
	for listener == nil {
		var err error
		if packets, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if listener, err = net.Listen("tcp", packets.LocalAddr().String()); err != nil {
			packets.Close()
		}
	}
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: listener, Handler: handler}} {
		started, ended := make(chan struct{}), make(chan error, 1)
		s.NotifyStartedFunc = func() { close(started) }
		go func() { ended <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { s.Shutdown(); <-ended })
	}
	return packets.LocalAddr().String()
}

func TestResolver(t *testing.T) {
	address := serveDNS(t,
		"www.example.com. 60 IN A 192.0.2.10",
		"www.test.example.com. 60 IN CNAME www.example.com.", // one address for two tiers
		"db.test.example.com. 60 IN CNAME gone.azurewebsites.net.",
		"quotes.example.com. 60 IN AAAA 2001:db8::30",
		"db.wild.example.com. 60 IN A 192.0.2.40",
		"*.wild.example.com. 60 IN A 192.0.2.99",
		"mail.example.com. 60 IN MX 10 www.example.com.",
	)
	z, err := drift.ParseZone([]byte("a CNAME lives.example.org.\nb CNAME gone.example.org.\nc CNAME x.broken.example.\nd CNAME www.example.com.\n"), "example.net", "example.net.zone")
	if err != nil {
		t.Fatal(err)
	}
	stages := map[string]int{}
	r := scan(t, func(c *drift.Config) {
		c.Resolver, c.Zones = &drift.Resolver{Server: address}, []*drift.Zone{z}
		c.Map.Domains[2].Dns = []string{"db.wild.example.com"}
		c.Map.Domains[0].Dns = []string{"mail.example.com"} // exists, but has no address
		c.Progress = func(stage string, done, _ int) { stages[stage] = max(stages[stage], done) }
	})
	if stages["names"] < 9 {
		t.Errorf("progress heard %v", stages)
	}
	r.Scanned = nil // it has the port
	for i := range r.Differences {
		r.Differences[i].Detail = strings.ReplaceAll(r.Differences[i].Detail, address, "ADDRESS")
	}
	golden(t, "resolver.golden", r)
}

// TestTruncated wants an answer that does not fit into UDP to come over TCP.
func TestTruncated(t *testing.T) {
	r := &drift.Resolver{Server: serveDNS(t, "big.example.com. 60 IN A 192.0.2.1")}
	a, err := r.Lookup(t.Context(), "big.example.com")
	if err != nil || !a.Exists || len(a.Addresses) != 1 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestResolverAway(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0") // never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := scan(t, func(c *drift.Config) {
		c.Resolver = &drift.Resolver{Server: l.LocalAddr().String(), Timeout: time.Millisecond}
		c.Timeout = 50 * time.Millisecond
	})
	if len(r.Differences) != len(firm().Domains) || r.Worst() != drift.Medium {
		t.Errorf("a resolver that is away gives:\n%s", lines(r))
	}
	for _, d := range r.Differences {
		if d.Check != "unreachable" {
			t.Errorf("%+v", d)
		}
	}
}

func TestSystemResolver(t *testing.T) {
	if _, err := drift.SystemResolver(filepath.Join(t.TempDir(), "resolv.conf")); err == nil {
		t.Error("a file that is missing")
	}
	r, err := drift.SystemResolver("testdata/resolv.conf")
	if err != nil || r.Server != "192.0.2.53:53" {
		t.Errorf("%+v, %v", r, err)
	}
}
