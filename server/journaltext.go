package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/server/access"
	"github.com/daybook-ledger/daybook/verify"
)

// shortMethod is Service/Method; a page is left as it is.
func shortMethod(method string) string {
	if !strings.HasPrefix(method, "/") {
		return method
	}
	return method[strings.LastIndexByte(method, '.')+1:]
}

// keyOf identifies person, method and filter.
func keyOf(a *daybookv1.Activity) ([32]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(a)
	return sha256.Sum256(b), err
}

// filterText is the request without where in the answer a page begins. A mirror
// reads everything: its ranges are left out.
func filterText(c *caller, req any) string {
	m, ok := req.(proto.Message)
	if !ok || c.held.Roles&c.rule.Roles == access.Mirror {
		return ""
	}
	m = proto.Clone(m)
	for _, name := range []string{"page_token", "page_size"} {
		if field := m.ProtoReflect().Descriptor().Fields().ByTextName(name); field != nil {
			m.ProtoReflect().Clear(field)
		}
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	var compact bytes.Buffer
	if err != nil || json.Compact(&compact, text) != nil {
		return "a filter that is no JSON"
	}
	return compact.String()
}

// clipText cuts a text to n bytes of whole letters. What is cut is told apart by
// its sum.
func clipText(s string, n int) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= n {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	cut := n - 20
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..." + hex.EncodeToString(sum[:8])
}

// ownAlone tells whether an answer shows entries of the caller, as producer, and
// no others: receipts of its own, which are no read.
func ownAlone(resp any, s access.Scope) bool {
	switch r := resp.(type) {
	case *apiv1.GetReceiptsResponse:
		for _, f := range r.GetReceipts() {
			if !owned(f.GetEntry(), s) {
				return false
			}
		}
		return true
	case *apiv1.GetReceiptBatchResponse:
		for _, p := range r.GetRanges() {
			for _, entry := range p.GetEntries() {
				if !owned(entry, s) {
					return false
				}
			}
		}
		return true
	}
	return false
}

func owned(entry []byte, s access.Scope) bool {
	e, err := verify.ParseEntry(entry)
	return err == nil && s.Owns(&e)
}
