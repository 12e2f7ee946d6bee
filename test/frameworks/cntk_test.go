package frameworks

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/internal/importer"
	"github.com/stoa-project/stoa/internal/tensor"
)

// TestTagger labels the words of the first twelve sentences of a test set as
// CNTK's network does: 205 of 207 as people labelled them.
func TestTagger(t *testing.T) {
	dir := filepath.Join(assets, "cntk/atis-slot-lstm-v2")
	text, err := os.ReadFile(filepath.Join(dir, "atis.test.ctf"))
	if err != nil {
		t.Skip("SKIPPED: ../shared/assets is not here")
	}
	start(t)
	src, err := importer.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	im, err := importer.Import(t.Context(), plugs, src, importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	out := t.TempDir()
	if _, err := im.Write(out); err != nil {
		t.Fatal(err)
	}
	right, all := 0, 0
	for _, s := range sentences(t, string(text), 12) {
		in := tensor.Of(make([]float32, 943*len(s)), int64(len(s)), 943)
		for i, w := range s {
			tensor.As[float32](in)[943*i+w.word] = 1
		}
		got, err := runModel(filepath.Join(out, importer.ModelFile), map[string]tensor.Tensor{"keep": in}, []string{"out_projection"})
		if err != nil {
			t.Fatal(err)
		}
		scores := tensor.As[float32](got["out_projection"])
		for i, w := range s {
			best := 0
			for k := range 129 {
				if scores[129*i+k] > scores[129*i+best] {
					best = k
				}
			}
			all++
			if best == w.label {
				right++
			}
		}
	}
	if right != 205 || all != 207 {
		t.Errorf("%d of %d labels are right, want 205 of 207", right, all)
	}
}

type tagged struct{ word, label int }

// sentences reads lines such as "0 |S0 178:1 |# BOS |S1 14:1 |# flight |S2 128:1":
// the sentence's number, a word, and its label.
func sentences(t *testing.T, text string, most int) [][]tagged {
	t.Helper()
	var out [][]tagged
	at := ""
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if fields[0] != at {
			if at = fields[0]; len(out) == most {
				return out
			}
			out = append(out, nil)
		}
		var w tagged
		for i, f := range fields[:len(fields)-1] {
			num, _, _ := strings.Cut(fields[i+1], ":")
			switch n, err := strconv.Atoi(num); {
			case f == "|S0" && err == nil:
				w.word = n
			case f == "|S2" && err == nil:
				w.label = n
			}
		}
		out[len(out)-1] = append(out[len(out)-1], w)
	}
	if len(out) < most {
		t.Fatal(fmt.Errorf("there are %d sentences", len(out)))
	}
	return out
}
