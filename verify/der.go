package verify

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrSignature says that a signature does not verify under a key.
var ErrSignature = errors.New("signature does not verify")

// The two public keys that producers have, in the one DER form each has.
var (
	// SEQUENCE { SEQUENCE { id-Ed25519 } BIT STRING(32 bytes) }
	spkiEd25519 = []byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}
	// SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 } BIT STRING(uncompressed point) }
	spkiP256 = []byte{0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
		0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00}
)

// CheckRunSignature checks a producer's signature of a HeartbeatMessage or an
// EndMessage. spki is its SubjectPublicKeyInfo in DER: an Ed25519 key, which
// signs msg, or an ECDSA key on P-256, which signs SHA-256(msg) in ASN.1 form.
func CheckRunSignature(spki, msg, sig []byte) error {
	if key, ok := bytes.CutPrefix(spki, spkiEd25519); ok && len(key) == ed25519.PublicKeySize {
		if !ed25519.Verify(key, msg, sig) {
			return ErrSignature
		}
		return nil
	}
	if point, ok := bytes.CutPrefix(spki, spkiP256); ok && len(point) == 65 {
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			return fmt.Errorf("public key: %w", err)
		}
		sum := sha256.Sum256(msg)
		if !ecdsa.VerifyASN1(key, sum[:], sig) {
			return ErrSignature
		}
		return nil
	}
	return errors.New("public key is neither Ed25519 nor ECDSA on P-256")
}

// DER tags of what a certificate is walked through.
const (
	derBoolean   = 0x01
	derInteger   = 0x02
	derOctets    = 0x04
	derOID       = 0x06
	derSequence  = 0x30
	derVersion   = 0xa0 // [0], constructed
	derIssuerID  = 0x81 // [1], primitive
	derSubjectID = 0x82 // [2], primitive
	derExtension = 0xa3 // [3], constructed
	derURI       = 0x86 // [6] of GeneralName
)

// oidSubjectAltName is 2.5.29.17.
var oidSubjectAltName = []byte{0x55, 0x1d, 0x11}

// CertificateSPKI returns the SubjectPublicKeyInfo DER inside an X.509
// certificate; it aliases der. Nothing else of the certificate is judged: who
// issued it and whether it is valid is not the question here.
func CertificateSPKI(der []byte) ([]byte, error) {
	spki, _, err := certificateParts(der)
	return spki, err
}

// ProducerSPKI returns the SubjectPublicKeyInfo in the certificate of a run opened or
// resumed. It must be that of the key in the entry's own batch head: the ledger has both
// from one connection. Later entries of the run may be under another key, since a
// producer renews its certificate while a run goes on.
func ProducerSPKI(der []byte, fingerprint Hash) ([]byte, error) {
	spki, err := CertificateSPKI(der)
	if err == nil && sha256.Sum256(spki) != fingerprint {
		return nil, errors.New("certificate: of another key than that of the batch head")
	}
	return spki, err
}

// CertificateURI returns the one URI among the subject alternative names of an
// X.509 certificate, the SPIFFE id; none or several are an error.
func CertificateURI(der []byte) (string, error) {
	_, extensions, err := certificateParts(der)
	if err != nil {
		return "", err
	}
	uri, found := "", false
	for len(extensions) > 0 {
		var extension []byte
		if extension, extensions, err = derElement(extensions, derSequence); err != nil {
			return "", err
		}
		names, err := altNames(extension)
		if err != nil {
			return "", err
		}
		for len(names) > 0 {
			tag, content, _, rest, err := derNext(names)
			if err != nil {
				return "", err
			}
			names = rest
			if tag != derURI {
				continue
			}
			if found {
				return "", errors.New("certificate: more than one URI name")
			}
			uri, found = string(content), true
		}
	}
	if !found {
		return "", errors.New("certificate: no URI name")
	}
	return uri, nil
}

// altNames returns the GeneralNames of an extension that is a
// subjectAltName, and nothing of any other.
func altNames(extension []byte) ([]byte, error) {
	oid, rest, err := derElement(extension, derOID)
	if err != nil || !bytes.Equal(oid, oidSubjectAltName) {
		return nil, err
	}
	if len(rest) > 0 && rest[0] == derBoolean {
		if _, rest, err = derElement(rest, derBoolean); err != nil {
			return nil, err
		}
	}
	value, rest, err := derElement(rest, derOctets)
	if err != nil {
		return nil, err
	}
	names, tail, err := derElement(value, derSequence)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 || len(tail) > 0 {
		return nil, errors.New("certificate: bytes after an extension")
	}
	return names, nil
}

// certificateParts walks a certificate to its SPKI and the content of its list
// of extensions, which may be empty.
func certificateParts(der []byte) (spki, extensions []byte, err error) {
	certificate, rest, err := derElement(der, derSequence)
	if err != nil {
		return nil, nil, err
	}
	if len(rest) > 0 {
		return nil, nil, errors.New("certificate: bytes after it")
	}
	body, _, err := derElement(certificate, derSequence)
	if err != nil {
		return nil, nil, err
	}
	if len(body) > 0 && body[0] == derVersion {
		if _, body, err = derElement(body, derVersion); err != nil {
			return nil, nil, err
		}
	}
	// Serial number, signature algorithm, issuer, validity, subject.
	for _, tag := range []byte{derInteger, derSequence, derSequence, derSequence, derSequence} {
		if _, body, err = derElement(body, tag); err != nil {
			return nil, nil, err
		}
	}
	tag, _, spki, body, err := derNext(body)
	if err != nil {
		return nil, nil, err
	}
	if tag != derSequence {
		return nil, nil, fmt.Errorf("certificate: tag %#x for the public key", tag)
	}
	for len(body) > 0 {
		tag, content, _, rest, err := derNext(body)
		if err != nil {
			return nil, nil, err
		}
		switch tag {
		case derIssuerID, derSubjectID:
		case derExtension:
			if len(rest) > 0 {
				return nil, nil, errors.New("certificate: bytes after the extensions")
			}
			list, tail, err := derElement(content, derSequence)
			if err != nil || len(tail) > 0 {
				return nil, nil, errors.New("certificate: malformed extensions")
			}
			return spki, list, nil
		default:
			return nil, nil, fmt.Errorf("certificate: tag %#x after the public key", tag)
		}
		body = rest
	}
	return spki, nil, nil
}

// derElement returns the content of the first element of b, which must have
// that tag, and what follows it.
func derElement(b []byte, want byte) (content, rest []byte, err error) {
	tag, content, _, rest, err := derNext(b)
	if err != nil {
		return nil, nil, err
	}
	if tag != want {
		return nil, nil, fmt.Errorf("certificate: tag %#x, want %#x", tag, want)
	}
	return content, rest, nil
}

// derNext splits the first DER element off b: one-byte tags, definite minimal
// lengths up to 65,535.
func derNext(b []byte) (tag byte, content, whole, rest []byte, err error) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return 0, nil, nil, nil, errors.New("certificate: malformed element")
	}
	n, head := int(b[1]), 2
	switch {
	case n < 0x80:
	case n == 0x81 && len(b) >= 3 && b[2] >= 0x80:
		n, head = int(b[2]), 3
	case n == 0x82 && len(b) >= 4 && b[2] > 0:
		n, head = int(b[2])<<8|int(b[3]), 4
	default:
		return 0, nil, nil, nil, errors.New("certificate: malformed length")
	}
	if n > len(b)-head {
		return 0, nil, nil, nil, errors.New("certificate: cut short")
	}
	return b[0], b[head : head+n], b[:head+n], b[head+n:], nil
}
