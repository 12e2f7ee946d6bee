// Package runnertest is the conformance kit of programs that speak a runner
// protocol: what stoa runner-test tries, and a program that passes it.
package runnertest
