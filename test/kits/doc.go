// Package kits runs algorithms that are written for Algorithmia's development
// kits through package runner: the published kits themselves where they can be
// had, and small programs that do what the others are known to do. kits.sh
// installs what is published.
package kits
