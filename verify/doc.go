// Package verify defines what a daybook log's bytes mean: its formats, and every
// check that an auditor makes of them offline.
package verify
