package pebblestore_test

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/daybook-ledger/daybook/ledger/store"
	"github.com/daybook-ledger/daybook/ledger/store/pebblestore"
	"github.com/daybook-ledger/daybook/ledger/store/storetest"
)

const testDir = "data/store"

var quiet = slog.New(slog.DiscardHandler)

// small are the options of a test store on fs.
func small(fs vfs.FS) pebblestore.Options {
	return pebblestore.Options{
		Dir: testDir, FS: fs, Logger: quiet,
		CacheBytes: 1 << 20, MemTableBytes: 256 << 10,
		Fatal: func(reason string) { panic(reason) },
	}
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		var broken atomic.Bool
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			isSync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
			if isSync && strings.HasSuffix(op.Path, ".log") && broken.Load() {
				return errors.New("injected")
			}
			return nil
		}))
		return storetest.Harness{
			Open: func(t *testing.T) store.Engine {
				t.Helper()
				s, err := pebblestore.Open(small(fs))
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
			Poison: func() { broken.Store(true) },
		}
	})
}

func TestContractOnDisk(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		o := small(nil)
		o.Dir = t.TempDir() + "/data/store"
		return storetest.Harness{Open: func(t *testing.T) store.Engine {
			t.Helper()
			s, err := pebblestore.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}}
	})
}
