package identity

import "errors"

// The stable reasons why a peer is not accepted.
const (
	ReasonExpired       = "CERTIFICATE_EXPIRED"       // renew it
	ReasonNotYetValid   = "CERTIFICATE_NOT_YET_VALID" // a clock is wrong
	ReasonRevoked       = "CERTIFICATE_REVOKED"       // it is on the list of revoked certificates
	ReasonUsage         = "CERTIFICATE_USAGE"         // it is no client's
	ReasonWrongCA       = "WRONG_CA"                  // its CA is another domain's
	ReasonUnknownCA     = "UNKNOWN_CA"                // nobody trusts its CA
	ReasonNoSPIFFEID    = "NO_SPIFFE_ID"              // it names nobody
	ReasonNoCertificate = "NO_CERTIFICATE"            // none was presented
)

// ErrExpired: the peer's certificate is not valid any more.
var ErrExpired = errors.New("certificate has expired")

// A RefusedError says why a peer is not accepted. It matches ErrExpired where
// that is the reason.
type RefusedError struct {
	Reason string // one of the reasons
	ID     string // SPIFFE id that the certificate names; empty: none
	// Known: a CA that is known here signed the certificate.
	Known bool
	// Authenticated: it is ID's own, so that ID is who is refused. Else the name is
	// a claim.
	Authenticated bool
	Text          string
}

func (e *RefusedError) Error() string { return e.Text }

// Is says that it is an ErrExpired.
func (e *RefusedError) Is(target error) bool {
	return target == ErrExpired && e.Reason == ReasonExpired
}
