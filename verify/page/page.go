// Package page is the examiner's page that checks a bundle in a browser.
//
// verify.html is one self-contained file, opened from a disk: its own content
// security policy gives it no network. It is the second implementation of the
// check of a bundle, in JavaScript, and shares no code with verify/bundle; only
// the tables of the wire grammar, which are data, come from the same schema. It
// reads a bundle in slices, so that its memory does not grow with the file.
//
// The sources are the modules of src, put together by a test, which fails where
// verify.html is not what they make; with -update it writes it.
package page

import _ "embed"

//go:embed verify.html
var html []byte

// HTML returns the page, a whole file. It must not be modified.
func HTML() []byte { return html }
