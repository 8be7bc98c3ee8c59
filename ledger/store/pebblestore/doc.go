// Package pebblestore is the embedded engine: package store's contract over
// Pebble, in one directory.
//
// # Directory
//
// Beside Pebble's files a directory holds the file DAYBOOK, which says that the
// directory is ours, in which layout, and whether it has ever been ready:
//
//	daybook store
//	layout 2
//	state ready
//
// It is written as "state new" before Pebble creates its first file and becomes
// "state ready" once the new store was opened, closed and opened again. A
// directory without it is not touched and refused, unless it is empty; a newer
// layout, or one of an early version, is refused; and a ready directory whose Pebble files are gone is
// damaged, never a new store. The file LOCK keeps a second process out.
//
// # Why a new store is opened twice
//
// Pebble starts a new store at its oldest format and raises it. In a log file
// begun before the format knew sync offsets, one flipped bit silently drops
// synced commits behind it. After the reopening no such log file is left.
//
// # What is where
//
// Each table of the key space is a span of its own, so no Pebble file holds two
// tables: files of append-only tables never overlap and are not rewritten once
// they are flushed. Nothing is compressed by Pebble: frames are
// already, and hashes cannot be.
//
// # Errors
//
// An error of the write-ahead log, of a flush, or one that makes Pebble give up
// poisons the store. Pebble's own give-up call never returns: the process ends,
// unless Options.Fatal says otherwise in a test. What is on disk then is a
// prefix of what was submitted, with everything acknowledged in it.
//
// A read that the disk fails is an error of that read, and store.ErrDamaged where
// the bytes do not match their checksum. A compaction that cannot read is given
// up and tried again later; in one place Pebble could only panic, and there the
// process is ended with the cause.
//
// # A full disk
//
// An open takes room before it frees any: it writes what the log holds into
// tables, at most three memtables, and a manifest. A [Ballast] gives it back:
// the first write that finds no room drops it and is tried once more. A sync is
// never tried again: after it has failed, what is on the disk is only known when
// the store is opened anew. A load that finds no room is store.ErrFull, leaves
// nothing and may be repeated: its tables are derived.
package pebblestore
