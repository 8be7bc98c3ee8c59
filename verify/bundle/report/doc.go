// Package report words what a bundle proves for people to read.
package report
