package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
)

// lookEvery is how often the files of the identity are looked at while calls go
// well; where one fails, and at each handshake, they are looked at then.
const lookEvery = 2 * time.Second

// identities is who the client is now. The files are read again when they change:
// new connections are made with what they say, and those that were made with
// another certificate are cut, which costs no more than a broken connection does.
// Safe for concurrent use.
type identities struct {
	config *Config // immutable
	now    atomic.Pointer[identity]
	looked atomic.Int64 // unix nanoseconds of the last look

	mu     sync.Mutex
	seen   []fs.FileInfo                 // of the files; nil: missing; guarded by mu
	failed string                        // why they did not load; guarded by mu
	conns  map[*identifiedConn]*identity // open; guarded by mu
}

// openIdentities reads the files.
func openIdentities(c *Config) (*identities, error) {
	ids := &identities{config: c, conns: map[*identifiedConn]*identity{}, seen: statAll(c)}
	id, err := loadIdentity(c)
	if err != nil {
		return nil, err
	}
	ids.now.Store(id)
	ids.looked.Store(time.Now().UnixNano())
	return ids, nil
}

func statAll(c *Config) []fs.FileInfo {
	names := []string{c.Certificate, c.Key, c.CA}
	seen := make([]fs.FileInfo, len(names))
	for i, name := range names {
		if info, err := os.Stat(name); err == nil {
			seen[i] = info
		}
	}
	return seen
}

func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// current is who the client is.
func (ids *identities) current() *identity { return ids.now.Load() }

// glance looks at the files, at most once in lookEvery.
func (ids *identities) glance() {
	last, now := ids.looked.Load(), time.Now().UnixNano()
	if now-last >= int64(lookEvery) && ids.looked.CompareAndSwap(last, now) {
		ids.look()
	}
}

// look looks at the files, and takes over what they say. What does not load
// changes nothing and is tried again by the next look.
func (ids *identities) look() {
	ids.mu.Lock()
	seen := statAll(ids.config)
	if ids.failed == "" && slices.EqualFunc(seen, ids.seen, sameFile) {
		ids.mu.Unlock()
		return
	}
	ids.seen = seen
	id, err := loadIdentity(ids.config)
	if err == nil && id.producer != ids.current().producer {
		err = fmt.Errorf("certificate %s is of %s now: a client stays who it is, %s", ids.config.Certificate, id.producer, ids.current().producer)
	}
	told := err == nil || err.Error() != ids.failed
	var old []*identifiedConn
	if ids.failed = ""; err != nil {
		ids.failed = err.Error()
	} else {
		ids.now.Store(id)
		for conn, with := range ids.conns {
			if !bytes.Equal(with.leaf, id.leaf) {
				old = append(old, conn)
			}
		}
	}
	ids.mu.Unlock()
	for _, conn := range old {
		conn.cut()
	}
	if told && ids.config.OnIdentity != nil {
		ids.config.OnIdentity(err)
	}
}

// An identifiedConn is a connection that was made with one identity.
type identifiedConn struct {
	net.Conn
	ids *identities
}

// Close implements net.Conn.
func (c *identifiedConn) Close() error {
	c.ids.mu.Lock()
	delete(c.ids.conns, c)
	c.ids.mu.Unlock()
	return c.Conn.Close()
}

// cut ends the connection; what was in flight on it is sent again on the next.
func (c *identifiedConn) cut() {
	if err := c.Close(); err != nil {
		return // it is closed already
	}
}

// identifiedInfo is what is known of a connection: also with which identity it was
// made.
type identifiedInfo struct {
	credentials.TLSInfo
	id *identity
}

// liveTLS is TLS with the identity of the moment of the handshake.
type liveTLS struct {
	ids        *identities
	serverName string
}

func (c liveTLS) with(id *identity) credentials.TransportCredentials {
	config := id.tls.Clone()
	config.ServerName = c.serverName
	return credentials.NewTLS(config)
}

// ClientHandshake implements credentials.TransportCredentials.
func (c liveTLS) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c.ids.look()
	id := c.ids.current()
	conn, info, err := c.with(id).ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, err
	}
	tlsInfo, ok := info.(credentials.TLSInfo)
	if !ok {
		return nil, nil, errors.Join(fmt.Errorf("handshake gave %T", info), conn.Close())
	}
	identified := &identifiedConn{conn, c.ids}
	c.ids.mu.Lock()
	c.ids.conns[identified] = id
	c.ids.mu.Unlock()
	if !bytes.Equal(c.ids.current().leaf, id.leaf) { // replaced during the handshake
		return nil, nil, errors.Join(errors.New("the certificate changed during the handshake"), identified.Close())
	}
	return identified, identifiedInfo{tlsInfo, id}, nil
}

// ServerHandshake implements credentials.TransportCredentials.
func (c liveTLS) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("a client serves nobody")
}

// Info implements credentials.TransportCredentials.
func (c liveTLS) Info() credentials.ProtocolInfo { return c.with(c.ids.current()).Info() }

// Clone implements credentials.TransportCredentials.
func (c liveTLS) Clone() credentials.TransportCredentials { return c }

// OverrideServerName implements credentials.TransportCredentials.
func (c liveTLS) OverrideServerName(string) error {
	return errors.New("the server's name is its address's host")
}
