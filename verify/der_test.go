package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/verify"
)

func sum32(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

// certificate makes a certificate as crypto/x509 does, with those names.
func certificate(t testing.TB, key crypto.Signer, uris ...string) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1 << 40), Subject: pkix.Name{CommonName: "producer"}, NotAfter: time.Unix(1<<31, 0),
		DNSNames: []string{"a.example"}, IPAddresses: []net.IP{{127, 0, 0, 1}}, EmailAddresses: []string{"a@b"}, KeyUsage: x509.KeyUsageDigitalSignature}
	for _, s := range uris {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = append(template.URIs, u)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func runKeys(t testing.TB) (ed ed25519.PrivateKey, ec *ecdsa.PrivateKey) {
	t.Helper()
	_, ed, err1 := ed25519.GenerateKey(rand.Reader)
	ec, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return ed, ec
}

func TestCertificateParts(t *testing.T) {
	ed, ec := runKeys(t)
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{ed, ec, big} {
		der := certificate(t, key, "spiffe://web.example/gw")
		want, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := verify.CertificateSPKI(der); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%T: SPKI %x, %v; want %x", key, got, err, want)
		}
		if got, err := verify.CertificateURI(der); err != nil || got != "spiffe://web.example/gw" {
			t.Errorf("%T: URI %q, %v", key, got, err)
		}
		for n := range der {
			if _, err := verify.CertificateSPKI(der[:n]); err == nil {
				t.Fatalf("%T: taken when cut at %d of %d", key, n, len(der))
			}
		}
		if _, err := verify.CertificateSPKI(append(bytes.Clone(der), 0)); err == nil {
			t.Errorf("%T: taken with a byte more", key)
		}
	}
	if got, err := verify.CertificateURI(certificate(t, ed)); err == nil {
		t.Errorf("no URI gives %q", got)
	}
	if got, err := verify.CertificateURI(certificate(t, ed, "spiffe://a/b", "spiffe://a/c")); err == nil {
		t.Errorf("two URIs give %q", got)
	}
}

func TestCheckRunSignature(t *testing.T) {
	ed, ec := runKeys(t)
	message := verify.HeartbeatMessage(verify.Hash{1}, 5, 1)
	sum := sha256.Sum256(message)
	ecSig, err := ec.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		key crypto.Signer
		sig []byte
	}{{ed, ed25519.Sign(ed, message)}, {ec, ecSig}} {
		spki, err := x509.MarshalPKIXPublicKey(tc.key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if err := verify.CheckRunSignature(spki, message, tc.sig); err != nil {
			t.Errorf("%T: %v", tc.key, err)
		}
		if err := verify.CheckRunSignature(spki, verify.EndMessage(verify.Hash{1}, 5, 1), tc.sig); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("%T, another label: %v", tc.key, err)
		}
		for at := range tc.sig {
			bad := bytes.Clone(tc.sig)
			bad[at] ^= 1
			if err := verify.CheckRunSignature(spki, message, bad); !errors.Is(err, verify.ErrSignature) {
				t.Errorf("%T, byte %d changed: %v", tc.key, at, err)
			}
		}
		for _, bad := range [][]byte{nil, spki[:len(spki)-1], append(bytes.Clone(spki), 0), spki[1:]} {
			if err := verify.CheckRunSignature(bad, message, tc.sig); err == nil {
				t.Errorf("%T: key %x is taken", tc.key, bad)
			}
		}
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(p384.Public())
	if err != nil {
		t.Fatal(err)
	}
	if verify.CheckRunSignature(spki, message, ecSig) == nil {
		t.Error("a key on P-384 is taken")
	}
}

// FuzzCertificate: what crypto/x509 reads too, we read alike.
func FuzzCertificate(f *testing.F) {
	ed, ec := runKeys(f)
	f.Add(certificate(f, ed, "spiffe://web.example/gw"))
	f.Add(certificate(f, ec, "spiffe://a/b", "spiffe://a/c"))
	f.Add(certificate(f, ec))
	f.Fuzz(func(t *testing.T, der []byte) {
		spki, err1 := verify.CertificateSPKI(der)
		uri, err2 := verify.CertificateURI(der)
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		if err1 == nil && !bytes.Equal(spki, c.RawSubjectPublicKeyInfo) {
			t.Errorf("SPKI %x, want %x", spki, c.RawSubjectPublicKeyInfo)
		}
		if err2 == nil && (len(c.URIs) != 1 || uri == "") {
			t.Errorf("URI %q, want %v", uri, c.URIs)
		}
	})
}

func FuzzParseFrontier(f *testing.F) {
	f.Add(verify.Frontier{Size: 3, Nodes: []verify.Hash{{1}, {2}}}.AppendBinary(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := verify.ParseFrontier(b); err == nil && !bytes.Equal(g.AppendBinary(nil), b) {
			t.Errorf("%x reads as %x", b, g.AppendBinary(nil))
		}
	})
}
