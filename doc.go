// Package stoa holds the nouns that two or more rooms of Stoa need: references
// and versions of algorithms, values that calls carry, what a call used, who
// calls, and the one error type that crosses rooms. It does no I/O and imports
// the standard library only.
package stoa
