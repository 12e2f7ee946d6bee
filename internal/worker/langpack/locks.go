package langpack

import "slices"

// Locks gives patterns of the files that name a program's dependencies.
func (l *Language) Locks() []string { return slices.Clone(l.spec.Build.Locks) }
