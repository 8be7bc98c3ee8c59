package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/daybook-ledger/daybook/server/config"
	"github.com/daybook-ledger/daybook/server/token"
)

// openTokens returns what checks people's tokens; nil where no issuer is
// configured. Nothing is fetched yet: a server starts without its issuers.
func openTokens(c *config.Config) (*token.Verifier, error) {
	if len(c.People.OIDC) == 0 {
		return nil, nil
	}
	issuers := make([]token.Issuer, len(c.People.OIDC))
	for i, o := range c.People.OIDC {
		issuers[i] = token.Issuer{URL: o.Issuer, Audience: o.Audience, Algorithms: o.Algorithms, Groups: o.Groups, Skew: *o.ClockSkew}
		if o.CA == "" {
			continue
		}
		bundle, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("people.oidc[%d].ca: %w", i, err)
		}
		issuers[i].Roots = x509.NewCertPool()
		if !issuers[i].Roots.AppendCertsFromPEM(bundle) {
			return nil, fmt.Errorf("people.oidc[%d].ca: %s holds no certificate in PEM form", i, o.CA)
		}
	}
	return token.New(issuers, time.Now)
}
