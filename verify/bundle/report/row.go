package report

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// withheld stands for a value that the producer sealed.
const withheld = "(withheld)"

// cellKind says how a cell is written.
type cellKind uint8

const (
	absent    cellKind = iota // no value
	text                      // exactly as it is in the entry
	said                      // text that is made of shown text
	moment                    // a time, as utc and local write it
	integer                   // decimal digits, maybe behind a minus
	yes                       // a condition that holds
	no                        // a condition that does not
	sealedOff                 // a value that was sealed
)

// A cell is the value of one column.
type cell struct {
	kind cellKind
	text string
	json string // where it is not empty: what stands in JSON lines
}

// A row is one line of a table of data: a cell for each column.
type row struct {
	table *table
	cells []cell
	index map[string]int
}

// newRow returns a row without values.
func newRow(t *table) *row {
	return &row{table: t, cells: make([]cell, len(t.Columns)), index: t.index}
}

func (r *row) clear() { clear(r.cells) }

// at returns the cell of a column; that it exists is a test's to show.
func (r *row) at(name string) *cell { return &r.cells[r.index[name]] }

// set sets a value of a kind; an empty one is absent.
func (r *row) set(name string, kind cellKind, s string) {
	if s != "" {
		*r.at(name) = cell{kind: kind, text: s}
	}
}

func (r *row) text(name, s string)         { r.set(name, text, s) }
func (r *row) bytes(name string, b []byte) { r.set(name, text, bytesText(b)) }
func (r *row) hex(name string, b []byte)   { r.set(name, text, hex.EncodeToString(b)) }
func (r *row) uint(name string, n uint64)  { r.set(name, integer, strconv.FormatUint(n, 10)) }
func (r *row) nonzero(name string, n uint64) {
	if n != 0 {
		r.uint(name, n)
	}
}

// flag sets a condition.
func (r *row) flag(name string, holds bool) {
	c := r.at(name)
	if *c = (cell{kind: no, text: "no", json: "false"}); holds {
		*c = cell{kind: yes, text: "yes", json: "true"}
	}
}

// time sets the columns <name>_utc and <name>_local.
func (r *row) time(name string, ns int64, offsets []offset) {
	r.set(name+"_utc", moment, utc(ns))
	r.set(name+"_local", moment, local(ns, offsets))
}

// lookup makes a row the scope of its sentence: times as human has them,
// all else as phrase has it.
func (r *row) lookup(name string) value {
	i, ok := r.index[name]
	if !ok {
		return nil
	}
	switch c := &r.cells[i]; c.kind {
	case absent:
		return nil
	case yes:
		return true
	case no:
		return false
	case moment:
		return human(c.text)
	case sealedOff:
		if r.table.Columns[i].Type == "yes/no" {
			return nil // neither holds nor does not
		}
		return withheld
	default:
		return phrase(c.text)
	}
}

// appendCSVRow appends the row as a line of CSV.
func (r *row) appendCSVRow(dst []byte) []byte {
	for i := range r.cells {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch c := &r.cells[i]; c.kind {
		case absent:
		case said, integer, moment:
			dst = appendCSV(dst, c.text)
		case sealedOff:
			dst = append(dst, withheld...)
		default:
			dst = appendCSV(dst, show(c.text, ""))
		}
	}
	return append(dst, '\r', '\n')
}

// appendJSONRow appends the row as a line of JSON.
func (r *row) appendJSONRow(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, '{')
	for i := range r.cells {
		c := &r.cells[i]
		if c.kind == absent || c.kind == sealedOff {
			continue
		}
		if len(dst) > start+1 {
			dst = append(dst, ',')
		}
		dst = append(appendJSON(dst, r.table.Columns[i].Name), ':')
		switch {
		case c.json != "":
			dst = append(dst, c.json...)
		case c.kind == integer:
			dst = append(dst, c.text...)
		default:
			dst = appendJSON(dst, c.text)
		}
	}
	return append(dst, '}', '\n')
}

// appendHeader appends the byte order mark and the line of column names.
func (t *table) appendHeader(dst []byte) []byte {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return append(append(append(dst, "\ufeff"...), strings.Join(names, ",")...), '\r', '\n')
}
