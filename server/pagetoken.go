package server

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
)

// pageToken is where a list goes on: base64url, without padding, of
//
//	u8 1 || uvarint tree size || uvarint index || first 8 bytes of SHA-256(filter)
//
// with minimal varints. The filter is the request without page size and token,
// marshalled deterministically: a token is good for its own list only. Tokens
// are short-lived; another version of the program may refuse them.
type pageToken struct {
	size   uint64 // every page answers for this tree size
	index  uint64 // the next entry to look at
	filter [8]byte
}

var errPageToken = errors.New("malformed page token")

// sumOf identifies a filter without page size and token.
func sumOf(filter proto.Message) ([8]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(filter)
	if err != nil {
		return [8]byte{}, err
	}
	sum := sha256.Sum256(b)
	return [8]byte(sum[:8]), nil
}

// formatPageToken returns the text of a token.
func formatPageToken(t pageToken) string {
	b := []byte{1}
	b = binary.AppendUvarint(b, t.size)
	b = binary.AppendUvarint(b, t.index)
	return base64.RawURLEncoding.EncodeToString(append(b, t.filter[:]...))
}

// parsePageToken is strict: formatting what it returns gives the same text.
func parsePageToken(text string) (pageToken, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) == 0 || b[0] != 1 {
		return pageToken{}, errPageToken
	}
	var t pageToken
	b = b[1:]
	for _, field := range []*uint64{&t.size, &t.index} {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return pageToken{}, errPageToken
		}
		*field, b = v, b[n:]
	}
	if len(b) != len(t.filter) {
		return pageToken{}, errPageToken
	}
	t.filter = [8]byte(b)
	if formatPageToken(t) != text {
		return pageToken{}, errPageToken // a varint was not minimal
	}
	return t, nil
}

// pageOf returns where a list starts: its token's place, or nothing for a first
// page.
func pageOf(r *apiv1.ListEntriesRequest) (token pageToken, first bool, err error) {
	filter := proto.CloneOf(r)
	filter.PageSize, filter.PageToken = 0, ""
	return tokenOf(filter, r.GetPageToken())
}

// tokenOf returns where the list of a filter starts; text may be empty.
func tokenOf(filter proto.Message, text string) (token pageToken, first bool, err error) {
	sum, err := sumOf(filter)
	if err != nil {
		return pageToken{}, false, err
	}
	if text == "" {
		return pageToken{filter: sum}, true, nil
	}
	token, err = parsePageToken(text)
	if err == nil && token.filter != sum {
		err = errors.New("the page token is another list's: keep the filter as it was, or start again without a token")
	}
	if err != nil {
		return pageToken{}, false, &requestError{codes.InvalidArgument, ReasonPageToken, "page_token: " + err.Error()}
	}
	return token, false, nil
}
