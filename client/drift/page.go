package drift

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
)

// foreignOrigin is an origin that no server has a reason to allow: `.invalid` is
// nobody's (RFC 2606).
const foreignOrigin = "https://daybook-drift.invalid"

// A page is what a server answered to one request.
type page struct {
	path    string
	cookies []*http.Cookie
	cors    []cors
}

// A cors is what a server allowed to one origin.
type cors struct {
	sent, allowed string
	credentials   bool
}

// fetch asks for a path as a page of a foreign origin would, and as one without
// an origin. It follows no redirects and reads no bodies.
func fetch(ctx context.Context, t Target, path string) (page, error) {
	p := page{path: path}
	transport := &http.Transport{
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			d := tls.Dialer{Config: inspect(t.Name, nil)}
			d.Config.NextProtos = []string{"h2", "http/1.1"}
			return d.DialContext(ctx, network, t.Address)
		},
		ForceAttemptHTTP2: true, DisableKeepAlives: true, MaxResponseHeaderBytes: 1 << 18,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, origin := range []string{foreignOrigin, "null"} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+canonical(t.Name)+path, nil)
		if err != nil {
			return p, err
		}
		r.Header.Set("Origin", origin)
		r.Header.Set("User-Agent", "daybook-drift")
		answer, err := client.Do(r)
		if err != nil {
			return p, err
		}
		answer.Body.Close()
		p.cookies = append(p.cookies, answer.Cookies()...)
		p.cors = append(p.cors, cors{origin, answer.Header.Get("Access-Control-Allow-Origin"),
			answer.Header.Get("Access-Control-Allow-Credentials") == "true"})
	}
	return p, nil
}

// Advice of checks on HTTP.
const (
	adviceCookie = "leave the Domain attribute out: the cookie then goes to this host alone (the prefix __Host- makes browsers insist)"
	adviceCORS   = "allow the exact origins of the domains that have a flow to it, and credentials only where they are needed"
)

// judgePages judges cookies and cross-origin rules of one target.
func (s *scan) judgePages(p *probed) []Difference {
	var out []Difference
	for _, got := range p.pages {
		for _, c := range got.cookies {
			out = append(out, s.judgeCookie(p, c)...)
		}
		for _, c := range got.cors {
			if severity, detail := judgeCORS(c); severity != "" {
				out = append(out, Difference{"http-cors", severity, p.domain, "", "https://" + p.Name + got.path, detail, adviceCORS})
			}
		}
	}
	return out
}

// judgeCookie looks for names of other domains that a cookie is sent to.
func (s *scan) judgeCookie(p *probed, c *http.Cookie) []Difference {
	scope := canonical(strings.TrimPrefix(c.Domain, "."))
	if !strings.Contains(scope, ".") || !below(canonical(p.Name), scope) || len(c.Name) > 256 {
		return nil // it goes to its host alone, or no browser takes it
	}
	subject := "cookie " + c.Name + " of " + p.Name
	reached := map[string][]string{}
	for name, id := range s.d.dns {
		if id != p.domain && below(name, scope) {
			reached[id] = append(reached[id], name)
		}
	}
	var out []Difference
	for id, names := range reached {
		slices.Sort(names)
		out = append(out, Difference{"http-cookie", High, p.domain, id, subject,
			fmt.Sprintf("its Domain=%s sends it to %s of %s too", scope, some(names, 4), id), adviceCookie})
	}
	if len(out) == 0 && scope != canonical(p.Name) {
		out = append(out, Difference{"http-cookie", Low, p.domain, "", subject,
			"its Domain=" + scope + " sends it to more hosts than the one that set it", adviceCookie})
	}
	return out
}

// judgeCORS judges what was allowed to an origin that is not the firm's.
func judgeCORS(c cors) (Severity, string) {
	switch {
	case c.allowed == "":
		return "", ""
	case c.allowed == "*" && c.credentials:
		return Medium, "it allows every origin (`*`), and credentials, which browsers refuse together: it is meant to allow too much"
	case c.allowed == "*":
		return Medium, "it allows every origin (`*`) to read its answers"
	case c.allowed == c.sent && c.credentials:
		return High, "it allows the foreign origin " + c.sent + ", with credentials: any site can read it as the person who visits"
	case c.allowed == c.sent:
		return Medium, "it allows the foreign origin " + c.sent + " to read its answers"
	}
	return "", ""
}
