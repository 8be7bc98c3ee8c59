package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daybook-ledger/daybook/server/datadir"
	"github.com/daybook-ledger/daybook/server/identity"
	"github.com/daybook-ledger/daybook/verify"
)

// issueOptions says what to issue.
type issueOptions struct {
	Dir           datadir.Dir
	ID, Out       string
	Ingest, Query string // addresses for the profile; both empty: those of this machine
	Life          time.Duration
}

// renewOptions says what to renew.
type renewOptions struct {
	Dir     datadir.Dir
	ID, Out string
	NewKey  bool
	Life    time.Duration
}

// A record is what was issued to one SPIFFE id: a file in DIR/issued.
type record struct {
	ID          string `json:"id"`
	Folder      string `json:"folder"`
	Certificate string `json:"certificate"` // PEM

	own bool // one of the directory's own clients, of which no record is kept
}

// file is the record's own: the id itself may be longer than a name.
func (r *record) file(dir datadir.Dir) string {
	sum := sha256.Sum256([]byte(r.ID))
	return filepath.Join(dir.Issued(), hex.EncodeToString(sum[:16])+".json")
}

func (r *record) domain() string {
	domain, _ := verify.ProducerDomain(r.ID) // empty: none, which no domain is
	return domain
}

func (r *record) pair() identity.Pair { return identity.Pair{Certificate: []byte(r.Certificate)} }

func (r *record) issuedBy(a *identity.Authority) bool {
	leaf, err := r.pair().Leaf()
	return err == nil && a.Issued(leaf)
}

// files are where certificate and key lie.
func (r *record) files() (certificate, key string) {
	return filepath.Join(r.Folder, "certificate.pem"), filepath.Join(r.Folder, "key.pem")
}

// save keeps the record. After a crash before it, the folder holds an identity that
// no list shows; its key stays good.
func (r *record) save(dir datadir.Dir) error {
	if r.own {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return datadir.WriteFile(r.file(dir), append(b, '\n'), 0o644)
}

// readRecords reads all records, by id.
func readRecords(dir datadir.Dir) ([]*record, error) {
	entries, err := os.ReadDir(dir.Issued())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []*record
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		path := filepath.Join(dir.Issued(), e.Name())
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		r := new(record)
		if err := json.Unmarshal(b, r); err != nil {
			return nil, fmt.Errorf("record %s: %w; move it away and issue the identity again", path, err)
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *record) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// findRecord returns the record of an id; nil: none.
func findRecord(dir datadir.Dir, id string) (*record, error) {
	all, err := readRecords(dir)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.ID == id {
			return r, nil
		}
	}
	return nil, nil
}

// openDomainAuthority reads the CA of a domain; nil: it has none.
func openDomainAuthority(dir datadir.Dir, domain string) (*identity.Authority, error) {
	pair, err := readPair(dir.DomainCA(domain))
	if err != nil || pair == nil {
		return nil, err
	}
	authority, err := identity.ParseAuthority(*pair)
	if err != nil {
		return nil, fmt.Errorf("CA of domain %s: %w", domain, err)
	}
	if authority.Domain() != domain {
		return nil, fmt.Errorf("CA of domain %s: it was made for %s", domain, authority.Domain())
	}
	return authority, nil
}

// authorityFor returns the CA that issues an id: its domain's own, else the
// private one, unless the configuration has the domain vouched for by others.
func authorityFor(dir datadir.Dir, id string) (*identity.Authority, error) {
	domain, err := verify.ProducerDomain(id)
	if err != nil {
		return nil, usagef("--id: %v", err)
	}
	own, err := openDomainAuthority(dir, domain)
	if err != nil || own != nil {
		return own, err
	}
	c, err := loadConfig(serveOptions{Dir: dir}, domain)
	if err != nil {
		return nil, err
	}
	if bundle := c.Trust[domain]; bundle != "" {
		return nil, fmt.Errorf("domain %s has CAs of its own, %s: the private CA cannot issue for it; "+
			"have one of those issue %s, or make one here with `daybookd identity ca --data %s --domain %s`", domain, bundle, id, dir, domain)
	}
	return openAuthority(dir)
}

// issueIdentity issues an identity into a folder of its own.
func issueIdentity(o issueOptions, now time.Time) (*identityInfo, error) {
	if o.ID == "" {
		return nil, usagef("--id is missing: name the identity, such as --id spiffe://web/app")
	}
	authority, err := authorityFor(o.Dir, o.ID)
	if err != nil {
		return nil, err
	}
	r, err := findRecord(o.Dir, o.ID)
	if err != nil {
		return nil, err
	}
	if r != nil {
		return nil, fmt.Errorf("%s was issued already, into %s: nothing was changed; renew it with `daybookd identity renew --data %s --id %s`", o.ID, r.Folder, o.Dir, o.ID)
	}
	if o.Out == "" {
		o.Out = o.Dir.Identity(o.ID)
	}
	r = &record{ID: o.ID}
	if r.Folder, err = filepath.Abs(o.Out); err != nil {
		return nil, err
	}
	certificate, key := r.files()
	if old, err := readPair(certificate, key); err != nil || old != nil {
		return nil, errors.Join(err, fmt.Errorf("%s holds another identity: nothing was changed; name another folder", r.Folder))
	}
	pair, err := authority.IssueClientFor(o.ID, nil, now, o.Life)
	if err != nil {
		return nil, err
	}
	if err := writeIdentity(o, r, pair); err != nil {
		return nil, err
	}
	return infoOf(r, now)
}

// writeIdentity fills the folder, the profile last: without it a client finds
// nothing half.
func writeIdentity(o issueOptions, r *record, pair identity.Pair) error {
	bundle, err := os.ReadFile(o.Dir.Bundle())
	if err != nil {
		return err
	}
	vkey, err := os.ReadFile(o.Dir.LogVKey())
	if err != nil {
		return err
	}
	certificate, key := r.files()
	if err := writePair(pair, certificate, key); err != nil {
		return err
	}
	if err := datadir.WriteFile(filepath.Join(r.Folder, "ca.pem"), bundle, 0o644); err != nil {
		return err
	}
	r.Certificate = string(pair.Certificate)
	if err := r.save(o.Dir); err != nil {
		return err
	}
	return datadir.WriteFile(filepath.Join(r.Folder, "profile.yaml"), identityProfile(o, bytes.TrimSpace(vkey)), 0o644)
}

// identityProfile is the profile of an issued identity.
func identityProfile(o issueOptions, vkey []byte) []byte {
	where := fmt.Sprintf("addresses: %q\n", o.Dir.Addresses())
	if o.Ingest != "" || o.Query != "" {
		where = ""
		for _, a := range [][2]string{{"ingest", o.Ingest}, {"query", o.Query}} {
			if a[1] != "" {
				where += fmt.Sprintf("%s: %q\n", a[0], a[1])
			}
		}
	}
	return fmt.Appendf(nil, `# How %s reaches the log: daybook --profile FILE, or $DAYBOOK_PROFILE.
# Paths are relative to this file.
%sca: ca.pem
certificate: certificate.pem
key: key.pem
vkey: %s
state: state
`, o.ID, where, vkey)
}

// renewIdentity issues a new certificate in the place of the old one.
func renewIdentity(o renewOptions, now time.Time) (*identityInfo, error) {
	r, certificate, key, err := renewable(o)
	if err != nil {
		return nil, err
	}
	authority, err := authorityFor(o.Dir, o.ID)
	if err != nil {
		return nil, err
	}
	old, err := readPair(certificate, key)
	if err == nil && old == nil && !o.NewKey {
		err = fmt.Errorf("%s and its key are not both there: name the folder with -o, or make another key with --new-key", certificate)
	}
	if err != nil {
		return nil, err
	}
	if o.NewKey {
		old = nil
	}
	pair, err := authority.IssueClientFor(o.ID, old, now, o.Life)
	if err != nil {
		return nil, err
	}
	// Between the two files of another key a client sees a certificate that is not
	// the key's, and keeps what it has.
	if err := writePair(pair, certificate, key); err != nil {
		return nil, err
	}
	r.Certificate = string(pair.Certificate)
	if err := r.save(o.Dir); err != nil {
		return nil, err
	}
	return infoOf(r, now)
}

// renewable finds what is to be renewed, and its files: an issued identity, or one
// of the directory's own clients.
func renewable(o renewOptions) (r *record, certificate, key string, err error) {
	if r, err = findRecord(o.Dir, o.ID); err != nil {
		return nil, "", "", err
	}
	if r == nil && o.Out == "" {
		return ownClient(o)
	}
	if r == nil {
		r = &record{ID: o.ID}
	}
	if o.Out != "" {
		if r.Folder, err = filepath.Abs(o.Out); err != nil {
			return nil, "", "", err
		}
	}
	certificate, key = r.files()
	return r, certificate, key, namesAnother(certificate, key, o.ID)
}

// namesAnother refuses a folder that holds somebody else's identity.
func namesAnother(certificate, key, id string) error {
	old, err := readPair(certificate, key)
	if err != nil || old == nil {
		return err
	}
	leaf, err := old.Leaf()
	if err != nil {
		return fmt.Errorf("%s: %w", certificate, err)
	}
	peer, err := identity.PeerOf(leaf)
	if err == nil && peer.ID != id {
		err = fmt.Errorf("it is of %s", peer.ID)
	}
	if err != nil {
		return fmt.Errorf("%s is not of %s: nothing was changed: %w", certificate, id, err)
	}
	return nil
}

// ownClient finds a client that the directory was made with.
func ownClient(o renewOptions) (r *record, certificate, key string, err error) {
	private, err := openAuthority(o.Dir)
	if err != nil {
		return nil, "", "", err
	}
	for _, name := range []string{producerName, operatorName} {
		if o.ID == "spiffe://"+private.Domain()+"/"+name {
			certificate, key = o.Dir.Client(name)
			return &record{ID: o.ID, Folder: filepath.Dir(certificate), own: true}, certificate, key, nil
		}
	}
	return nil, "", "", fmt.Errorf("%s was not issued here: see `daybookd identity list --data %s`; its own issuer renews it, "+
		"or issue one with `daybookd identity issue --data %s --id %s`", o.ID, o.Dir, o.Dir, o.ID)
}

// renewAll renews what ends within identity.RenewBefore.
func renewAll(w io.Writer, o renewOptions, asJSON bool, now time.Time) error {
	list, err := listIdentities(o.Dir, now)
	if err != nil {
		return err
	}
	renewed := []*identityInfo{}
	for _, info := range list {
		if info.Kind != "identity" || info.end.Sub(now) > identity.RenewBefore {
			continue
		}
		one := o
		one.ID = info.ID
		info, err := renewIdentity(one, now)
		if err != nil {
			return fmt.Errorf("renewing %s (those before it are renewed): %w", one.ID, err)
		}
		renewed = append(renewed, info)
	}
	if asJSON {
		return printJSON(w, map[string]any{"renewed": renewed})
	}
	for _, info := range renewed {
		if err := info.print(w, false, "renewed"); err != nil {
			return err
		}
	}
	if len(renewed) == 0 {
		fmt.Fprintln(w, "nothing ends within 90 days")
	}
	return nil
}
