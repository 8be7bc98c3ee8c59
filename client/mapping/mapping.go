package mapping

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// MaxRecord is the largest record that is mapped, in bytes.
const MaxRecord = 1 << 20

// Mapping turns the records of one format into events. It is safe for
// concurrent use.
type Mapping struct {
	name    string
	version uint32
	// foldKeys reads keys in any letter case.
	foldKeys bool
	// array is the key of the array that holds the records in the format's
	// own files; empty: it has JSON lines only.
	array string
	// fill sets the event's fields from the record.
	fill func(o object, b *builder)
}

// mappings is the table of all formats, in the order of their names.
var mappings = []*Mapping{
	{name: "cloudtrail", version: 1, array: "Records", fill: fillCloudTrail},
	{name: "lanl-auth", version: 1, fill: fillLANL},
	{name: "s3-access", version: 1, fill: fillS3},
	{name: "xroad", version: 1, foldKeys: true, fill: fillXRoad},
}

// Find returns the mapping of a name. The error names those there are.
func Find(name string) (*Mapping, error) {
	for _, m := range mappings {
		if m.name == name {
			return m, nil
		}
	}
	return nil, fmt.Errorf("no mapping is named %q; there are %s", name, strings.Join(Names(), ", "))
}

// Names returns the names of all mappings, ascending.
func Names() []string {
	names := make([]string, 0, len(mappings))
	for _, m := range mappings {
		names = append(names, m.name)
	}
	return names
}

// Name returns the mapping's name, such as `cloudtrail`.
func (m *Mapping) Name() string { return m.name }

// Version returns the mapping's version.
func (m *Mapping) Version() uint32 { return m.version }

// String returns name and version, such as `cloudtrail/1`.
func (m *Mapping) String() string { return fmt.Sprintf("%s/%d", m.name, m.version) }

// Record is one foreign record and where it stood.
type Record struct {
	// Bytes is the record as it stood, without the end of its line. Owned by
	// the caller; a mapping keeps no part of it.
	Bytes []byte
	// Number is its number in the file, from 1.
	Number uint64
	// File is the SHA-256 of the decompressed file.
	File [32]byte
	// Long is the SHA-256 of a record over MaxRecord; Bytes is then empty.
	Long *[32]byte
}

// Result is a record that became an event.
type Result struct {
	// Event is the event.
	Event *daybookv1.Event
	// Body is the event, marshalled once: the bytes to append.
	Body []byte
}

// Map turns one record into one event. The error is always a *Reason. What it
// returns passes verify.ParseEvent, and is the same for the same record.
func (m *Mapping) Map(r Record) (*Result, error) {
	if r.Long != nil || len(r.Bytes) > MaxRecord {
		return nil, reasonf(TooLong, "", "over %d bytes", MaxRecord)
	}
	if !utf8.Valid(r.Bytes) {
		return nil, reasonf(NotUTF8, "", "")
	}
	o, why := parseObject(r.Bytes)
	if why == nil && m.foldKeys {
		o, why = foldObject(o, 0)
	}
	if why != nil {
		return nil, why
	}
	b := newBuilder(r)
	m.fill(o, b)
	b.event.Original = m.original(r)
	if why := b.finish(); why != nil {
		return nil, why
	}
	body, err := marshal.Marshal(b.event)
	if err != nil {
		return nil, reasonf(Refused, "", "%v", err)
	}
	if _, err := verify.ParseEvent(body); err != nil {
		return nil, refused(err)
	}
	return &Result{Event: b.event, Body: body}, nil
}

// original names the record.
func (m *Mapping) original(r Record) *daybookv1.Original {
	sum := sha256.Sum256(r.Bytes)
	if r.Long != nil {
		sum = *r.Long
	}
	return &daybookv1.Original{Sha256: sum[:], FileSha256: r.File[:], Record: r.Number, Mapping: m.String()}
}

// refused says which field of the event admission would refuse.
func refused(err error) *Reason {
	var field *verify.FieldError
	if errors.As(err, &field) {
		return reasonf(Refused, field.Field, "%v", err)
	}
	return reasonf(Refused, "", "%v", err)
}
