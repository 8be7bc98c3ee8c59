// Package bundle is the examination file: one file that answers a question
// offline.
package bundle
