// Package officer keeps a production officer's credential: certificate and key in
// one file under a passphrase.
//
// The file is an age file (age-encryption.org/v1, ASCII armor) with one scrypt
// recipient; inside stand the certificate's chain, leaf first, and the key, in PEM
// form. `age -d FILE` opens it as well. The officer's certificate is issued ahead
// of time and the file is kept with the passphrase apart, so that production of
// records depends neither on the log's operator nor on a live identity provider.
//
//	file, err := officer.Seal(certificatePEM, keyPEM, passphrase)
//	certificatePEM, keyPEM, err := officer.Open(file, passphrase)
package officer

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"filippo.io/age/armor"
)

const (
	// MaxFile bounds a sealed file, in bytes.
	MaxFile = 256 << 10
	// minPassphrase is the fewest bytes of a passphrase.
	minPassphrase = 12
	// workFactor is the base 2 logarithm of scrypt's N: about a second and 256 MiB.
	// maxWorkFactor bounds what a file may ask of who opens it.
	workFactor    = 18
	maxWorkFactor = 20
)

// ErrPassphrase says that a file does not open with a passphrase: it is another's,
// or the file is damaged.
var ErrPassphrase = errors.New("the passphrase does not open the file")

// Seal returns the sealed file of a certificate and its key, both PEM. A passphrase
// has at least 12 bytes.
func Seal(certificate, key []byte, passphrase string) ([]byte, error) {
	return seal(certificate, key, passphrase, workFactor)
}

func seal(certificate, key []byte, passphrase string, factor int) ([]byte, error) {
	if len(passphrase) < minPassphrase {
		return nil, fmt.Errorf("sealing: a passphrase has at least %d bytes", minPassphrase)
	}
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		return nil, fmt.Errorf("sealing: certificate and key: %w", err)
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	recipient.SetWorkFactor(factor)
	var file bytes.Buffer
	armored := armor.NewWriter(&file)
	w, err := age.Encrypt(armored, recipient)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	for _, part := range [][]byte{certificate, []byte("\n"), key} {
		if _, err := w.Write(part); err != nil {
			return nil, fmt.Errorf("sealing: %w", err)
		}
	}
	if err := errors.Join(w.Close(), armored.Close()); err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return file.Bytes(), nil
}

// Open returns certificate and key of a sealed file, both PEM. ErrPassphrase where
// it does not open.
func Open(file []byte, passphrase string) (certificate, key []byte, err error) {
	if len(file) > MaxFile {
		return nil, nil, fmt.Errorf("opening: the file is over %d bytes", MaxFile)
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, nil, fmt.Errorf("opening: %w", err)
	}
	identity.SetMaxWorkFactor(maxWorkFactor)
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(file)), identity)
	var unfit *age.NoIdentityMatchError
	if errors.As(err, &unfit) {
		return nil, nil, ErrPassphrase
	}
	if err != nil {
		return nil, nil, fmt.Errorf("opening: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(r, MaxFile))
	if err != nil {
		return nil, nil, fmt.Errorf("opening: %w", err)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certificate = append(certificate, pem.EncodeToMemory(block)...)
		} else {
			key = append(key, pem.EncodeToMemory(block)...)
		}
	}
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		return nil, nil, fmt.Errorf("opening: certificate and key: %w", err)
	}
	return certificate, key, nil
}
