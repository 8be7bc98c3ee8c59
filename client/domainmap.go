package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// DomainMap is a version of the domain map, or a proposal of one, proven to be in
// the log: every part of the document is in it, in order, and together they have
// the SHA-256 sum that its domain map entry or its proposal names.
type DomainMap struct {
	// Version says where it came into force; nil: it is a proposal.
	Version *apiv1.MapVersion
	// Proposal says who must approve it; nil for a version.
	Proposal *apiv1.MapProposal
	// Document is what the map says, and who wrote it.
	Document *daybookv1.MapDocument
	// Bytes of the marshalled document, whose SHA-256 is the version's.
	Bytes []byte
	// Checkpoint is the signed note that all proofs lead to, Size its size.
	Checkpoint []byte
	// Size of the checkpoint.
	Size uint64
	// ForEntry is an entry that was proven to be judged by this version, where
	// HasEntry says that there is one.
	ForEntry uint64
	// HasEntry: the version was asked for by an entry, or is in force and not the
	// log's newest entry itself.
	HasEntry bool
}

// DomainMap returns the version in force, proven to be. Where there is none, the
// error's Reason is NO_MAP.
func (c *Client) DomainMap(ctx context.Context) (*DomainMap, error) {
	for tries := 0; ; tries++ {
		a, err := c.getMap(ctx, &apiv1.GetDomainMapRequest{})
		if err != nil {
			return nil, err
		}
		now, err := c.Checkpoint(ctx, 0)
		if err != nil {
			return nil, err
		}
		var last *uint64 // the newest entry, unless it is the map's own
		if newest := now.Size - 1; newest != a.Version.Index {
			last = &newest
		}
		m := &DomainMap{Version: a.Version}
		err = c.proveVersion(ctx, m, last)
		var other *otherMapError
		if errors.As(err, &other) && other.got > a.Version.Index && tries < 3 {
			continue // another came into force meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("the domain map is not proven: %w", err)
		}
		return m, nil
	}
}

// DomainMapAt returns the version by which the entry at an index was judged. That
// it is that one is proven too: the entry names it in its own bytes. Where it
// names none, the error is a *NoMapError, which is proven as well.
func (c *Client) DomainMapAt(ctx context.Context, index uint64) (*DomainMap, error) {
	a, err := c.getMap(ctx, &apiv1.GetDomainMapRequest{At: index + 1})
	if Reason(err) == noMap {
		return nil, c.proveNoMap(ctx, index)
	}
	if err != nil {
		return nil, err
	}
	m := &DomainMap{Version: a.Version}
	if err := c.proveVersion(ctx, m, &index); err != nil {
		return nil, fmt.Errorf("the domain map for entry %d is not proven: %w", index, err)
	}
	return m, nil
}

// resolve returns the id of the domain that has a name; empty: none.
func (m *DomainMap) resolve(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	same := func(other string) bool { return strings.ToLower(other) == name }
	for _, d := range m.Document.Domains {
		if same(d.Id) || slices.ContainsFunc(d.Aliases, same) || slices.ContainsFunc(d.Dns, same) {
			return d.Id
		}
	}
	return ""
}

// noMap is the server's reason where no map was in force.
const noMap = "NO_MAP"

// A NoMapError says that an entry was judged without a domain map: the entry says
// so in its own bytes, and is proven to be in the log.
type NoMapError struct {
	Entry uint64
	Size  uint64 // of the checkpoint that the proof leads to
}

func (e *NoMapError) Error() string {
	return fmt.Sprintf("no domain map was in force for entry %d, as the entry itself says, which is proven to be in the log", e.Entry)
}

// proveNoMap returns a *NoMapError where the entry at an index names no map.
func (c *Client) proveNoMap(ctx context.Context, index uint64) error {
	none := &NoMapError{Entry: index}
	err := c.ReceiptRanges(ctx, []Range{{index, index + 1}}, func(r *RangeReceipt) error {
		none.Size = r.Size
		return judgedBy(r.Entries[0], 0)
	})
	if err == nil && none.Size == 0 {
		err = errors.New("the answer has no entry")
	}
	if err != nil {
		return fmt.Errorf("that no domain map was in force for entry %d is not proven: %w", index, err)
	}
	return none
}

// DomainMapBySum returns the version or proposal whose document has a SHA-256 sum.
func (c *Client) DomainMapBySum(ctx context.Context, sum verify.Hash) (*DomainMap, error) {
	a, err := c.getMap(ctx, &apiv1.GetDomainMapRequest{Sha256: sum[:]})
	if err != nil {
		return nil, err
	}
	m := &DomainMap{Version: a.Version, Proposal: a.Proposal}
	if m.Version != nil {
		m.Proposal = nil
		err = c.proveVersion(ctx, m, nil)
	} else {
		err = c.proveMap(ctx, m, a.Proposal.GetSha256(), a.Proposal.GetFirstPart(), a.Proposal.GetParts(), nil)
	}
	if err == nil && sha256.Sum256(m.Bytes) != sum {
		err = errors.New("it is another document")
	}
	if err != nil {
		return nil, fmt.Errorf("the domain map %x is not proven: %w", sum, err)
	}
	return m, nil
}

func (c *Client) getMap(ctx context.Context, r *apiv1.GetDomainMapRequest) (*apiv1.GetDomainMapResponse, error) {
	a, err := c.governance().GetDomainMap(ctx, r)
	if err != nil {
		return nil, governanceError("getting the domain map", err)
	}
	if len(r.Sha256) == 0 && a.GetVersion().GetMap() == nil || a.Version == nil && a.Proposal == nil {
		return nil, errors.New("getting the domain map: the answer names no version")
	}
	return a, nil
}

// proveVersion proves the domain map entry of m.Version, the parts it names and,
// where entry is not nil, that the entry at that index is judged by it.
func (c *Client) proveVersion(ctx context.Context, m *DomainMap, entry *uint64) error {
	v := m.Version
	if v.GetMap().GetFirstPart() == 0 {
		return errors.New("its entry names no part")
	}
	more := []uint64{v.Index}
	if entry != nil {
		more = append(more, *entry)
	}
	return c.proveMap(ctx, m, v.Map.Sha256, v.Map.FirstPart-1, v.Map.Parts, more)
}

// otherMapError says that an entry is judged by another version.
type otherMapError struct{ entry, got, want uint64 }

func (e *otherMapError) Error() string {
	if e.want == 0 {
		return fmt.Sprintf("entry %d was judged by the domain map at %d", e.entry, e.got)
	}
	return fmt.Sprintf("entry %d was judged by the domain map at %d, not by that at %d", e.entry, e.got, e.want)
}

// maxParts bounds the parts of a document: 16 MiB in parts of 57,344 bytes.
const maxParts = 16<<20/57344 + 1

// proveMap fetches the parts of a document with their proofs and joins them in
// m. more holds the index of the domain map entry and maybe that of an entry that
// is judged by it.
func (c *Client) proveMap(ctx context.Context, m *DomainMap, sum []byte, first uint64, parts uint32, more []uint64) error {
	if parts == 0 || parts > maxParts || len(sum) != sha256.Size {
		return fmt.Errorf("a document of %d parts with a sum of %d bytes", parts, len(sum))
	}
	ranges := []Range{{first, first + uint64(parts)}}
	for _, index := range more {
		ranges = append(ranges, Range{index, index + 1})
	}
	entries := map[uint64][]byte{}
	if err := c.ReceiptRanges(ctx, ranges, func(r *RangeReceipt) error {
		for i, raw := range r.Entries {
			entries[r.First+uint64(i)] = raw
		}
		m.Checkpoint, m.Size = r.Checkpoint, r.Size
		return nil
	}); err != nil {
		return err
	}
	if len(more) > 0 {
		if err := sameBody(entries[more[0]], daybookv1.Kind_KIND_DOMAIN_MAP, m.Version.Map); err != nil {
			return err
		}
	}
	if len(more) > 1 {
		if err := judgedBy(entries[more[1]], more[0]); err != nil {
			return err
		}
		m.ForEntry, m.HasEntry = more[1], true
	}
	return m.join(entries, sum, first, parts)
}

// judgedBy checks that an entry is judged by the map at an index.
func judgedBy(raw []byte, at uint64) error {
	e, err := verify.ParseEntry(raw)
	if err != nil {
		return err
	}
	if e.Head.MapIndex != at {
		return &otherMapError{e.Place.Index, e.Head.MapIndex, at}
	}
	return nil
}

// join joins the parts and checks their sum.
func (m *DomainMap) join(entries map[uint64][]byte, sum []byte, first uint64, parts uint32) error {
	m.Bytes = nil
	for i := range uint64(parts) {
		e, err := verify.ParseEntry(entries[first+i])
		if err != nil {
			return err
		}
		part := new(daybookv1.Part)
		if e.Place.Kind != daybookv1.Kind_KIND_PART {
			return fmt.Errorf("entry %d is of %v, no part", first+i, e.Place.Kind)
		}
		if err := proto.Unmarshal(e.Body, part); err != nil {
			return err
		}
		if !bytes.Equal(part.Sha256, sum) || uint64(part.Part) != i+1 || part.Parts != parts {
			return fmt.Errorf("entry %d is not part %d of %d of the document", first+i, i+1, parts)
		}
		m.Bytes = append(m.Bytes, part.Data...)
	}
	if got := sha256.Sum256(m.Bytes); !bytes.Equal(got[:], sum) {
		return fmt.Errorf("its parts have the SHA-256 sum %x, not %x", got, sum)
	}
	m.Document = new(daybookv1.MapDocument)
	if err := proto.Unmarshal(m.Bytes, m.Document); err != nil {
		return fmt.Errorf("its document: %w", err)
	}
	return nil
}
