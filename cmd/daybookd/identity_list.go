package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/daybook-ledger/daybook/server"
	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/server/identity"
)

// identityInfo tells of one certificate.
type identityInfo struct {
	Kind     string `json:"kind"` // ca, listener, identity
	ID       string `json:"id"`   // SPIFFE id; of a CA its domain, of a listener its name
	NotAfter string `json:"not_after"`
	DaysLeft int    `json:"days_left"`
	Issuer   string `json:"issuer"`
	Serial   string `json:"serial"`
	SPKI     string `json:"spki_sha256"`
	Folder   string `json:"folder,omitempty"`

	end time.Time
}

// describe tells of a certificate.
func describe(kind, id, folder string, c *x509.Certificate, now time.Time) *identityInfo {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return &identityInfo{Kind: kind, ID: id, Folder: folder, end: c.NotAfter,
		NotAfter: c.NotAfter.UTC().Format(time.RFC3339), DaysLeft: int(c.NotAfter.Sub(now).Hours() / 24),
		Issuer: c.Issuer.String(), Serial: identity.FormatSerial(c.SerialNumber), SPKI: hex.EncodeToString(sum[:])}
}

// infoOf tells of what was issued.
func infoOf(r *record, now time.Time) (*identityInfo, error) {
	leaf, err := r.pair().Leaf()
	if err != nil {
		return nil, fmt.Errorf("record of %s: %w", r.ID, err)
	}
	return describe("identity", r.ID, r.Folder, leaf, now), nil
}

// listIdentities tells of everything the directory issued, CAs first.
func listIdentities(dir datadir.Dir, now time.Time) ([]*identityInfo, error) {
	var list []*identityInfo
	private, err := openAuthority(dir)
	if err != nil {
		return nil, err
	}
	add := func(kind, id, certificate, key string) error {
		pair, err := readPair(certificate, key)
		if err != nil || pair == nil {
			return err
		}
		leaf, err := pair.Leaf()
		if err != nil {
			return fmt.Errorf("%s: %w", certificate, err)
		}
		list = append(list, describe(kind, id, filepath.Dir(certificate), leaf, now))
		return nil
	}
	if err := add("ca", private.Domain(), dir.CACertificate(), dir.CAKey()); err != nil {
		return nil, err
	}
	domains, err := dir.DomainCAs()
	if err != nil {
		return nil, err
	}
	for domain := range domains {
		certificate, key := dir.DomainCA(domain)
		if err := add("ca", domain, certificate, key); err != nil {
			return nil, err
		}
	}
	for _, name := range server.CertificateNames {
		certificate, key := dir.Listener(name)
		if err := add("listener", name, certificate, key); err != nil {
			return nil, err
		}
	}
	people, err := listClients(dir, private.Domain(), now, add)
	if err != nil {
		return nil, err
	}
	list = append(list, people...)
	slices.SortStableFunc(list, func(a, b *identityInfo) int {
		if a.Kind != b.Kind {
			return strings.Compare(order(a.Kind), order(b.Kind))
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list, nil
}

// listClients returns what was issued to clients; those that came with the log,
// and of which there is no record, it adds.
func listClients(dir datadir.Dir, domain string, now time.Time, add func(kind, id, certificate, key string) error) ([]*identityInfo, error) {
	records, err := readRecords(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{producerName, operatorName} {
		id := "spiffe://" + domain + "/" + name
		if slices.ContainsFunc(records, func(r *record) bool { return r.ID == id }) {
			continue
		}
		certificate, key := dir.Client(name)
		if err := add("identity", id, certificate, key); err != nil {
			return nil, err
		}
	}
	var list []*identityInfo
	for _, r := range records {
		info, err := infoOf(r, now)
		if err != nil {
			return nil, err
		}
		list = append(list, info)
	}
	return list, nil
}

// order puts CAs first, then listeners.
func order(kind string) string {
	return map[string]string{"ca": "0", "listener": "1"}[kind] + kind
}

func (i *identityInfo) print(w io.Writer, asJSON bool, verb string) error {
	if asJSON {
		return printJSON(w, i)
	}
	_, err := fmt.Fprintf(w, "%s %s until %s: %s\n", verb, i.ID, i.NotAfter, i.Folder)
	return err
}

// printIdentities prints the list for people.
func printIdentities(w io.Writer, list []*identityInfo) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KIND\tID\tENDS\tDAYS\tSERIAL\tISSUER\tFOLDER")
	for _, i := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", i.Kind, i.ID, i.NotAfter, i.DaysLeft, i.Serial, i.Issuer, i.Folder)
	}
	return table.Flush()
}
