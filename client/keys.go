package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	apiv1 "github.com/daybook-ledger/daybook/proto/daybook/api/v1"
	daybookv1 "github.com/daybook-ledger/daybook/proto/daybook/v1"
	"github.com/daybook-ledger/daybook/verify"
)

// ErrNewKey says that the log is signed with a key that does not follow from the
// one that was given to the client: take the new one from the log's key card, and
// compare its words, before you put it into the profile.
var ErrNewKey = errors.New("the log's key does not follow from the known one: compare the words of its key card, then put the key there into the profile")

// pinned is the log's keys that the client believes in. Immutable.
type pinned struct {
	chain  *verify.KeyChain
	policy *verify.Policy // of the keys that sign now
}

func pin(chain *verify.KeyChain) (*pinned, error) {
	policy, err := verify.ParsePolicy([]byte(chain.Policy()))
	return &pinned{chain, policy}, err
}

// A keyLink is an entry of the kind KEY_ROTATION with its receipt.
type keyLink struct {
	index        uint64
	proof, entry []byte
}

// linksOf are the links in an answer, in the order of the log.
func linksOf(a *apiv1.ListKeysResponse) []keyLink {
	var links []keyLink
	for _, k := range a.GetKeys() {
		for _, r := range []*apiv1.ReceiptFile{k.GetRotation(), k.GetRetirement()} {
			if r != nil {
				links = append(links, keyLink{r.Index, r.Proof, r.Entry})
			}
		}
	}
	slices.SortFunc(links, func(a, b keyLink) int { return cmp.Compare(a.index, b.index) })
	return links
}

// follow walks along the links that continue the chain, each proven under the keys
// known before it, and returns those. What happened before the first known key, or
// is known already, is passed over.
func follow(chain *verify.KeyChain, links []keyLink) (*verify.KeyChain, []keyLink, error) {
	var walked []keyLink
	for _, link := range links {
		e, err := verify.ParseEntry(link.entry)
		m := new(daybookv1.KeyRotation)
		if err == nil {
			err = proto.Unmarshal(e.Body, m)
		}
		if err != nil {
			return chain, walked, fmt.Errorf("following the log's key in entry %d: %w", link.index, err)
		}
		if !continues(chain, m) {
			continue
		}
		next, err := chain.Follow(link.proof, link.entry)
		if errors.Is(err, verify.ErrKeyCompromised) || errors.Is(err, verify.ErrUnsigned) {
			return chain, walked, fmt.Errorf("%w (its entry %d: %w)", ErrNewKey, link.index, err)
		}
		if err != nil {
			return chain, walked, fmt.Errorf("following the log's key in entry %d: %w", link.index, err)
		}
		chain, walked = next, append(walked, link)
	}
	return chain, walked, nil
}

// continues tells whether a step comes next in a chain.
func continues(chain *verify.KeyChain, m *daybookv1.KeyRotation) bool {
	if m.Step == daybookv1.KeyStep_KEY_STEP_ROTATED {
		return m.OldVkey == chain.Current().VKey
	}
	_, overlap := chain.Overlap()
	return overlap && m.NewVkey == chain.Current().VKey
}

// The files of a link in the state directory are keyPrefix, its index, and these
// endings.
const (
	keyPrefix   = "key-"
	proofEnding = ".tlog-proof"
	entryEnding = ".entry"
)

// loadLinks reads the links of a state directory. They are followed from the key
// in the profile each time: the directory is believed no more than the log is.
func loadLinks(dir string) ([]keyLink, error) {
	files, err := filepath.Glob(filepath.Join(dir, keyPrefix+"*"+proofEnding))
	if err != nil {
		return nil, err
	}
	var links []keyLink
	for _, file := range files {
		proof, err := readBounded(file)
		var r verify.Receipt
		if err == nil {
			r, err = verify.ParseReceipt(proof)
		}
		var entry []byte
		if err == nil {
			entry, err = readBounded(strings.TrimSuffix(file, proofEnding) + entryEnding)
		}
		if err != nil {
			return nil, fmt.Errorf("reading state %s: %w", file, err)
		}
		links = append(links, keyLink{r.Index, proof, entry})
	}
	slices.SortFunc(links, func(a, b keyLink) int { return cmp.Compare(a.index, b.index) })
	return links, nil
}

// saveLinks keeps links. Crash: an entry without its proof lies there, which is not
// read, and the log is asked again.
func saveLinks(dir string, links []keyLink) error {
	for _, link := range links {
		name := filepath.Join(dir, fmt.Sprintf("%s%020d", keyPrefix, link.index))
		if err := errors.Join(replaceFile(name+entryEnding, link.entry), replaceFile(name+proofEnding, link.proof)); err != nil {
			return fmt.Errorf("saving the log's keys: %w", err)
		}
	}
	return nil
}

// KnownKeys returns the keys of the log that follow from the profile's and from what
// the state directory keeps. It asks no server.
func (p *Profile) KnownKeys() (*verify.KeyChain, error) {
	chain, err := verify.NewKeyChain(p.VKey)
	if err != nil {
		return nil, fmt.Errorf("vkey: %w", err)
	}
	if _, err := os.Stat(p.State); p.State == "" || err != nil {
		return chain, nil // nothing was remembered yet
	}
	links, err := loadLinks(p.State)
	if err != nil {
		return nil, err
	}
	chain, _, err = follow(chain, links)
	return chain, err
}

// open opens a checkpoint under the keys known, and asks the log for its keys once
// where none of them signed it.
func (m *memory) open(note []byte) (verify.Checkpoint, error) {
	known := m.keys.Load()
	c, err := known.chain.OpenCheckpoint(note)
	if err == nil && known.chain.Differs(note) {
		m.differs.Store(true) // asked for when there is time
	}
	if err == nil || m.ask == nil || !errors.Is(err, verify.ErrUnsigned) && !errors.Is(err, verify.ErrKeyEnded) || !known.chain.Unknown(note) {
		return c, err
	}
	if asked := m.learn(); asked != nil {
		return verify.Checkpoint{}, fmt.Errorf("%w; %w", err, asked)
	}
	return m.keys.Load().chain.OpenCheckpoint(note)
}

// keyPatience bounds the question for the log's keys.
const keyPatience = 10 * time.Second

// learn asks the log for its keys and pins those that follow from the known ones.
func (m *memory) learn() error {
	m.learning.Lock()
	defer m.learning.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), keyPatience)
	defer cancel()
	links, err := m.ask(ctx)
	if err != nil {
		return fmt.Errorf("asking for the log's keys: %v", err) // a status in it is not that of the call that needed them
	}
	chain, walked, err := follow(m.keys.Load().chain, links)
	if len(walked) > 0 {
		now, failed := pin(chain)
		if failed != nil {
			return failed
		}
		if m.dir != "" {
			if failed := saveLinks(m.dir, walked); failed != nil {
				return failed
			}
		}
		m.keys.Store(now)
	}
	m.differs.Store(false)
	m.learned.Store(0)
	if len(walked) == 0 {
		m.learned.Store(time.Now().UnixNano())
	}
	return err
}

// keyPause is how long the log is not asked again that knew nothing new.
const keyPause = time.Minute

// learnDue learns where a checkpoint was signed otherwise than by the keys known.
// What fails is tried again with a later one.
func (m *memory) learnDue() {
	if m.ask == nil || !m.differs.Load() || time.Since(time.Unix(0, m.learned.Load())) < keyPause {
		return
	}
	if m.learn() != nil {
		m.learned.Store(time.Now().UnixNano())
	}
}

// listKeys asks the log for its keys.
func (c *Client) listKeys(ctx context.Context) ([]keyLink, error) {
	a, err := c.queries().ListKeys(ctx, &apiv1.ListKeysRequest{})
	if err != nil {
		return nil, interpret(err).err
	}
	return linksOf(a), nil
}

// Keys returns the log's keys as far as the client knows them: the one it was
// given, and those that follow from it.
func (c *Client) Keys() *verify.KeyChain { return c.memory.keys.Load().chain }

// ours tells whether a note is of the log by its name alone: one that the client
// wrote when it knew the log by another key.
func (m *memory) ours(note []byte) (verify.Checkpoint, bool) {
	c, err := verify.OpenUnverified(note)
	return c, err == nil && c.Origin == m.origin && bytes.Contains(note, []byte("\n\n\u2014 "+m.origin+" "))
}
