package cli

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/tensor"
)

// ask makes an input of random numbers and lets a command, which is the user's
// own framework, say what is right. done removes what was written.
func (a *app) ask(ctx context.Context, command string, r *importer.Report) (_ importer.Case, done func(), err error) {
	dir, err := os.MkdirTemp("", "stoa-check-")
	if err != nil {
		return importer.Case{}, nil, stoa.Wrap(stoa.Internal, err, "no folder for the check: %v", err)
	}
	remove := func() { _ = os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			remove()
		}
	}()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	for _, d := range []string{in, out} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return importer.Case{}, nil, stoa.Wrap(stoa.Internal, err, "no folder for the check: %v", err)
		}
	}
	c, err := writeInputs(in, r)
	if err != nil {
		return importer.Case{}, nil, err
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", command+` "$@"`, "sh", in, out)
	cmd.Stdout, cmd.Stderr = a.env.Stderr, a.env.Stderr
	if err := cmd.Run(); err != nil {
		return importer.Case{}, nil, stoa.Wrap(stoa.Failed, err, "--check-with %s: %v", command, err)
	}
	for _, s := range r.Outputs {
		path := filepath.Join(out, fileName(s.Name))
		if _, err := os.Stat(path); err != nil {
			return importer.Case{}, nil, stoa.Wrap(stoa.Invalid, err, "--check-with %s: it wrote no %s for the output %q into its second folder", command, fileName(s.Name), s.Name)
		}
		c.Outputs = append(c.Outputs, path)
	}
	return c, remove, nil
}

// seed makes the same numbers each time: a check that fails can be looked into.
const seed = 1

// writeInputs writes an array for each input: numbers between -1 and 1, or 0 and
// 1 where it wants whole ones. Free dimensions are those that the file declares,
// and the first of an input, which is the batch, 2: a network that mixes up its
// items is found.
func writeInputs(dir string, r *importer.Report) (importer.Case, error) {
	var c importer.Case
	random := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // numbers to compute with, no secrets
	for i, s := range r.Inputs {
		shape := append([]int64{}, s.Shape...)
		for d := range shape {
			switch {
			case shape[d] >= 0:
			case d == 0:
				shape[d] = 2
			case i < len(r.Declared) && d < len(r.Declared[i].Shape) && r.Declared[i].Shape[d] > 0:
				shape[d] = r.Declared[i].Shape[d]
			default:
				return c, stoa.Errorf(stoa.Unsupported, "--check-with: the size of the input %q is free (%s) and the file names none: use --check with arrays of your own", s.Name, tensor.ShapeString(s.Shape))
			}
		}
		t, err := randomTensor(random, s, shape)
		if err != nil {
			return c, err
		}
		path := filepath.Join(dir, fileName(s.Name))
		if err := os.WriteFile(path, npy.Append(nil, t), 0o600); err != nil {
			return c, stoa.Wrap(stoa.Internal, err, "the check's input cannot be written: %v", err)
		}
		c.Inputs = append(c.Inputs, path)
	}
	return c, nil
}

// maxRandom bounds an input that is made, in numbers.
const maxRandom = 1 << 28

func randomTensor(random *rand.Rand, s tensor.Spec, shape []int64) (tensor.Tensor, error) {
	n, err := tensor.Elements(shape)
	if err != nil || n > maxRandom {
		return tensor.Tensor{}, stoa.Errorf(stoa.TooLarge, "--check-with: the input %q is %s, which is too large to make up", s.Name, tensor.ShapeString(shape))
	}
	switch s.DType {
	case tensor.Float32:
		v := make([]float32, n)
		for i := range v {
			v[i] = random.Float32()*2 - 1
		}
		return tensor.Of(v, shape...), nil
	case tensor.Int64:
		v := make([]int64, n)
		for i := range v {
			v[i] = random.Int64N(2)
		}
		return tensor.Of(v, shape...), nil
	case tensor.Int32:
		v := make([]int32, n)
		for i := range v {
			v[i] = random.Int32N(2)
		}
		return tensor.Of(v, shape...), nil
	default:
		return tensor.Tensor{}, stoa.Errorf(stoa.Unsupported, "--check-with: the input %q is an array of %s, which is not made up: use --check with arrays of your own", s.Name, s.DType)
	}
}

// fileName gives the file of a tensor.
func fileName(tensor string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, tensor) + ".npy"
}
