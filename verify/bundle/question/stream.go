package question

import (
	"fmt"
	"strings"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
	"github.com/daybook-ledger/daybook/verify/domains"
)

// ParseStream is Stream.Key of a text.
func ParseStream(text string) (verify.StreamKey, error) { return Stream(text).Key() }

// Key returns the key of the stream that is named, strictly: [FormatStream] of the
// key gives the same text. The name is `<kind>,<source>,<target>[,<side>][,late]`,
// the kind and the side of an access as map files word them; `access,web,prod-db,target`
// or `alert,,`.
func (s Stream) Key() (verify.StreamKey, error) {
	bad := fmt.Errorf("stream %.200q: want <kind>,<source>,<target>[,<side>][,late], such as access,web,prod-db,target", string(s))
	f := strings.Split(string(s), ",")
	if len(f) < 3 || len(f) > 5 || len(f[1]) > verify.MaxDomain || len(f[2]) > verify.MaxDomain {
		return "", bad
	}
	kind := daybookv1.Kind(0)
	for v := range daybookv1.Kind_name {
		if v != 0 && domains.Word(daybookv1.Kind(v)) == f[0] {
			kind = daybookv1.Kind(v)
		}
	}
	side, late := daybookv1.Side(0), false
	for _, word := range f[3:] {
		late = late || word == "late"
		for v := range daybookv1.Side_name {
			if v != 0 && domains.Word(daybookv1.Side(v)) == word {
				side = daybookv1.Side(v)
			}
		}
	}
	key := verify.MakeStreamKey(kind, f[1], f[2], side, late)
	if kind == 0 || FormatStream(key) != s {
		return "", bad
	}
	return key, nil
}

// FormatStream names a stream; empty where the key is none.
func FormatStream(key verify.StreamKey) Stream {
	kind, source, target, side, late, err := verify.ParseStreamKey([]byte(key))
	if err != nil {
		return ""
	}
	name := domains.Word(kind) + "," + source + "," + target
	if side != 0 {
		name += "," + domains.Word(side)
	}
	if late {
		name += ",late"
	}
	return Stream(name)
}
