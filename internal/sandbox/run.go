package sandbox

import (
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"sync"
)

// Run runs a command to its end, or kills it when ctx ends. Its input is read
// from in, what it prints is written to stdout and stderr; any may be nil. Wait
// says what the error is; where ctx has ended, it is that of ctx.
func (s *Sandbox) Run(ctx context.Context, spec Spec, in io.Reader, stdout, stderr io.Writer) (Usage, error) {
	var copies sync.WaitGroup
	var theirs, ours []*os.File
	closeAll := func(files []*os.File) {
		for _, f := range files {
			_ = f.Close()
		}
	}
	// pipe gives the command's end, and has ours copied.
	pipe := func(use func(ours *os.File), reads bool) (*os.File, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		own, their := r, w
		if reads {
			own, their = w, r
		}
		theirs, ours = append(theirs, their), append(ours, own)
		copies.Go(func() {
			use(own)
			_ = own.Close() // so that who reads sees the end
		})
		return their, nil
	}
	var err error
	if in != nil {
		// A command need not read its input to the end.
		spec.Stdin, err = pipe(func(w *os.File) { _, _ = io.Copy(w, in) }, true)
	}
	if err == nil && stdout != nil {
		spec.Stdout, err = pipe(func(r *os.File) { _, _ = io.Copy(stdout, r) }, false)
	}
	if err == nil && stdout != nil && same(stdout, stderr) {
		spec.Stderr = spec.Stdout // one writer, and one order
	} else if err == nil && stderr != nil {
		spec.Stderr, err = pipe(func(r *os.File) { _, _ = io.Copy(stderr, r) }, false)
	}
	var p *Process
	if err == nil {
		p, err = s.Start(spec)
	}
	closeAll(theirs)
	if err != nil {
		closeAll(ours)
		copies.Wait()
		return Usage{}, err
	}
	stop := context.AfterFunc(ctx, p.Kill)
	err = p.Wait()
	stop()
	// All who could write are dead now, so the copies end.
	err = errors.Join(err, p.Close())
	if spec.Stdin != nil {
		_ = ours[0].Close() // its reader is gone, but in may have nothing to say
	}
	copies.Wait()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return p.Usage(), err
}

// same tells whether two writers are one; those of a type that cannot be compared
// are not.
func same(a, b io.Writer) bool {
	return a != nil && b != nil && reflect.TypeOf(a).Comparable() && reflect.TypeOf(b).Comparable() && a == b
}
