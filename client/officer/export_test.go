package officer

// SealFast is Seal with next to no work for who opens the file.
func SealFast(certificate, key []byte, passphrase string) ([]byte, error) {
	return seal(certificate, key, passphrase, 4)
}
