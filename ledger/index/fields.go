package index

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/daybook-ledger/daybook/verify"
)

// Field is an indexed field, from 1. A field that narrows a search more comes
// before one that narrows it less.
type Field uint8

// The indexed fields.
const (
	EventID Field = iota + 1
	Correlation
	Run
	Actor
	Pair
	Source
	Target
	Verdict
	Kind

	fieldEnd
)

const numFields = int(fieldEnd) - 1

// Term asks for the entries whose field has a value. The term of an empty value
// asks for nothing in particular: every entry is its candidate.
type Term struct {
	Field Field
	Hash  uint32 // 0: an empty value
}

// fields tells for each field how its hash comes out of an entry: 0 where the
// entry has no value there.
var fields = [numFields]struct {
	field Field
	hash  func(e *verify.Entry, ev *verify.EventFields) uint32
}{
	{EventID, func(_ *verify.Entry, ev *verify.EventFields) uint32 { return hashBytes(ev.EventID) }},
	{Correlation, func(_ *verify.Entry, ev *verify.EventFields) uint32 { return hashBytes(ev.CorrelationID) }},
	{Run, func(e *verify.Entry, _ *verify.EventFields) uint32 { return hashRun(e.Head.Producer, &e.Head.Run) }},
	{Actor, func(_ *verify.Entry, ev *verify.EventFields) uint32 { return hashBytes(ev.ActorID) }},
	{Pair, func(e *verify.Entry, _ *verify.EventFields) uint32 { return hashPair(e.Place.Source, e.Place.Target) }},
	{Source, func(e *verify.Entry, _ *verify.EventFields) uint32 { return hashString(e.Place.Source) }},
	{Target, func(e *verify.Entry, _ *verify.EventFields) uint32 { return hashString(e.Place.Target) }},
	{Verdict, func(e *verify.Entry, _ *verify.EventFields) uint32 { return hashNumber(uint64(e.Place.Verdict)) }},
	{Kind, func(e *verify.Entry, _ *verify.EventFields) uint32 { return hashNumber(uint64(e.Place.Kind)) }},
}

// EventIDTerm asks for an event id.
func EventIDTerm(id []byte) Term { return Term{EventID, hashBytes(id)} }

// CorrelationTerm asks for a correlation id.
func CorrelationTerm(id []byte) Term { return Term{Correlation, hashBytes(id)} }

// RunTerm asks for a run of a producer: its numbered entries and those about it.
func RunTerm(producer string, run verify.Hash) Term { return Term{Run, hashRun(producer, &run)} }

// ActorTerm asks for an actor id.
func ActorTerm(id []byte) Term { return Term{Actor, hashBytes(id)} }

// PairTerm asks for a pair of domain ids, as they stand in entry heads.
func PairTerm(source, target string) Term { return Term{Pair, hashPair(source, target)} }

// SourceTerm asks for a source's domain id.
func SourceTerm(id string) Term { return Term{Source, hashString(id)} }

// TargetTerm asks for a target's domain id.
func TargetTerm(id string) Term { return Term{Target, hashString(id)} }

// VerdictTerm asks for a verdict, by its number.
func VerdictTerm(verdict uint64) Term { return Term{Verdict, hashNumber(verdict)} }

// KindTerm asks for a kind, by its number.
func KindTerm(kind uint64) Term { return Term{Kind, hashNumber(kind)} }

// fold makes 32 bits of 64, never 0.
func fold(h uint64) uint32 {
	if f := uint32(h>>32) ^ uint32(h); f != 0 {
		return f
	}
	return 1
}

func hashBytes(v []byte) uint32 {
	if len(v) == 0 {
		return 0
	}
	return fold(xxhash.Sum64(v))
}

func hashString(v string) uint32 {
	if v == "" {
		return 0
	}
	return fold(xxhash.Sum64String(v))
}

func hashPair(source, target string) uint32 {
	if source == "" && target == "" {
		return 0
	}
	return fold(mix(xxhash.Sum64String(source)) + xxhash.Sum64String(target))
}

func hashRun(producer string, run *verify.Hash) uint32 {
	return fold(mix(xxhash.Sum64String(producer)) + xxhash.Sum64(run[:]))
}

func hashNumber(n uint64) uint32 {
	if n == 0 {
		return 0
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return fold(xxhash.Sum64(b[:]))
}

// mix makes the order of two summed hashes count.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	return h ^ h>>29
}
