// Package greet greets.
package greet

// Greet greets.
func Greet(name string) string { return "good day, " + name }
