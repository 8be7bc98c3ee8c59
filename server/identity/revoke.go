package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// A Revocation ends the use of a certificate, or of a key, before its time:
//
//	revoked:
//	  - spki: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//	  - {issuer: "CN=Daybook private CA for web", serial: 1f2e3d}
//
// One of a CA ends what the CA issued.
type Revocation struct {
	// SPKI is the SHA-256 of the SubjectPublicKeyInfo in hex: every certificate of
	// the key.
	SPKI string `yaml:"spki,omitempty"`
	// Issuer and Serial name one certificate: the issuer's distinguished name as
	// RFC 2253 writes it, and the serial number in hex.
	Issuer string `yaml:"issuer,omitempty"`
	Serial string `yaml:"serial,omitempty"`
}

// Check returns an error where the revocation names nothing.
func (r Revocation) Check() error {
	_, err := newRevoked([]Revocation{r})
	return err
}

// revoked is a list of revocations, ready to look up. Immutable.
type revoked struct {
	keys    map[[32]byte]bool
	serials map[string]bool // serial in hex, a blank, issuer
}

func newRevoked(list []Revocation) (revoked, error) {
	r := revoked{map[[32]byte]bool{}, map[string]bool{}}
	for _, one := range list {
		switch {
		case one.SPKI != "" && one.Issuer == "" && one.Serial == "":
			sum, err := hex.DecodeString(one.SPKI)
			if err != nil || len(sum) != sha256.Size {
				return r, fmt.Errorf("revoked: spki %q is not 64 hex digits", one.SPKI)
			}
			r.keys[[32]byte(sum)] = true
		case one.SPKI == "" && one.Issuer != "" && one.Serial != "":
			n, ok := new(big.Int).SetString(strings.ReplaceAll(one.Serial, ":", ""), 16)
			if !ok || n.Sign() < 0 {
				return r, fmt.Errorf("revoked: serial %q is no number in hex", one.Serial)
			}
			r.serials[FormatSerial(n)+" "+one.Issuer] = true
		default:
			return r, errors.New("revoked: each is either spki, or issuer and serial")
		}
	}
	return r, nil
}

// FormatSerial returns a serial number as [Revocation] has it.
func FormatSerial(serial *big.Int) string { return serial.Text(16) }

// any tells whether any certificate of a chain is revoked.
func (r revoked) any(chain []*x509.Certificate) bool {
	if len(r.keys)+len(r.serials) == 0 {
		return false
	}
	return slices.ContainsFunc(chain, func(c *x509.Certificate) bool {
		return r.keys[sha256.Sum256(c.RawSubjectPublicKeyInfo)] || r.serials[FormatSerial(c.SerialNumber)+" "+c.Issuer.String()]
	})
}
