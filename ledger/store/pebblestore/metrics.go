package pebblestore

import (
	"time"

	dto "github.com/prometheus/client_model/go"
)

// Metrics is a snapshot of the store's figures since it was opened.
type Metrics struct {
	DiskBytes    uint64 // space taken by all files, write-ahead log included
	WALBytes     uint64 // live part of the write-ahead log
	WALWritten   uint64 // bytes written to the write-ahead log
	TableWritten uint64 // bytes written by flushes, compactions and loads
	MemTables    uint64 // bytes of memtables
	CacheBytes   int64  // bytes in the block cache
	CacheHits    int64
	CacheMisses  int64
	Flushes      int64
	Compactions  int64
	Compacted    uint64 // bytes compactions wrote
	Debt         uint64 // bytes compactions still have to write
	ReadAmp      int    // files a read may have to look into
	WriteStalls  int64  // times writes had to wait for a flush or compaction
	DiskSlow     int64  // operations of the disk that took over 5 s
	Failures     int64  // flushes and compactions that failed
	Damages      int64  // reads of bytes that do not match their checksum

	Fsync Histogram // of the write-ahead log
}

// Histogram has cumulative counts by upper bound, in seconds.
type Histogram struct {
	Count   uint64
	Sum     float64
	Buckets map[float64]uint64
}

// Metrics returns the store's figures.
func (s *Store) Metrics() (Metrics, error) {
	if err := s.gate.enter(); err != nil {
		return Metrics{}, err
	}
	defer s.gate.leave()
	m := s.db.Metrics()
	var tables, compacted uint64 // Pebble's own total counts the log in
	for _, l := range m.Levels {
		tables += l.TableBytesFlushed + l.TableBytesCompacted + l.TableBytesIngested
		compacted += l.TableBytesCompacted
	}
	out := Metrics{
		DiskBytes:    m.DiskSpaceUsage(),
		WALBytes:     m.WAL.Size,
		WALWritten:   m.WAL.BytesWritten,
		TableWritten: tables,
		MemTables:    m.MemTable.Size,
		CacheBytes:   m.BlockCache.Size,
		CacheHits:    m.BlockCache.Hits,
		CacheMisses:  m.BlockCache.Misses,
		Flushes:      s.flushes.Load(),
		Compactions:  m.Compact.Count,
		Compacted:    compacted,
		Debt:         m.Compact.EstimatedDebt,
		ReadAmp:      m.ReadAmp(),
		WriteStalls:  s.stalls.Load(),
		DiskSlow:     s.slow.Load(),
		Failures:     s.failures.Load(),
		Damages:      s.damages.Load(),
	}
	if h := m.LogWriter.FsyncLatency; h != nil {
		var d dto.Metric
		if err := h.Write(&d); err != nil {
			return Metrics{}, err
		}
		out.Fsync = histogram(d.GetHistogram())
	}
	return out, nil
}

// histogram turns nanoseconds into seconds.
func histogram(h *dto.Histogram) Histogram {
	const second = float64(time.Second)
	out := Histogram{
		Count:   h.GetSampleCount(),
		Sum:     h.GetSampleSum() / second,
		Buckets: make(map[float64]uint64, len(h.GetBucket())),
	}
	for _, b := range h.GetBucket() {
		out.Buckets[b.GetUpperBound()/second] = b.GetCumulativeCount()
	}
	return out
}

// DiskBytes implements store.Engine; 0 once it is closed.
func (s *Store) DiskBytes() uint64 {
	if s.gate.enter() != nil {
		return 0
	}
	defer s.gate.leave()
	m := s.db.Metrics()
	return m.DiskSpaceUsage()
}
