package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/stoa-project/stoa/internal/blob"
	"github.com/stoa-project/stoa/internal/catalog"
)

// Bulk takes many versions in one transaction; the catalogue's Store in package
// store does.
type Bulk interface {
	PublishAll(ctx context.Context, vs []catalog.Version) error
}

// Seed publishes n algorithms such as people publish, the same for the same n:
// of 40 owners, nine in ten public, with taglines, tags, and READMEs of 1 to
// 4 KB. They can be found and shown, but not called: no blob is stored.
func Seed(ctx context.Context, s Bulk, n int) error {
	return s.PublishAll(ctx, Algorithms(n))
}

// Algorithms makes what Seed publishes.
func Algorithms(n int) []catalog.Version {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]catalog.Version, n)
	for i := range out {
		out[i] = algorithm(r, i)
	}
	return out
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// often picks the first ones more often than the last ones.
func often(r *rand.Rand, from []string) string {
	return from[min(r.IntN(len(from)), r.IntN(len(from)))]
}

func algorithm(r *rand.Rand, i int) catalog.Version {
	subject, task := often(r, subjects), often(r, tasks)
	name := capital(subject) + capital(task)
	switch r.IntN(3) {
	case 0:
		name = subject + "_" + task
	case 1:
		name = capital(often(r, families)) + capital(subject)
	}
	framework := often(r, frameworks)
	tags := []string{subject, task, pick(r, domains)}
	m, err := json.Marshal(map[string]any{"kind": "model", "tags": tags})
	if err != nil {
		panic(err)
	}
	return catalog.Version{
		Owner: fmt.Sprintf("owner%02d", r.IntN(40)), Name: fmt.Sprintf("%s%d", name, i), Public: r.IntN(10) > 0, Kind: "model",
		Framework: framework, Tagline: fmt.Sprintf("%s %s in %s, %s", capital(pick(r, verbs)), subject, pick(r, domains), pick(r, claims)),
		Hash: fmt.Sprintf("%064x", i), Manifest: m, Files: []blob.File{}, Built: []blob.File{},
		Report: json.RawMessage(`{"framework":"` + framework + `"}`), Readme: readme(r, name, tags), Creator: "seed",
		Created: noon.Add(time.Duration(i) * time.Minute),
	}
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func readme(r *rand.Rand, name string, tags []string) string {
	var b strings.Builder
	size := 1000 + r.IntN(3000)
	b.WriteString("# " + name + "\n\n")
	for b.Len() < size {
		fmt.Fprintf(&b, "%s the %s %s of %s with %s%d, ", capital(pick(r, verbs)), pick(r, claims), pick(r, tasks), pick(r, subjects), pick(r, families), r.IntN(200))
		fmt.Fprintf(&b, "trained on %s for %s; %s", pick(r, subjects), pick(r, domains), pick(r, claims))
		if r.IntN(4) == 0 {
			b.WriteString(".\n\n## " + capital(pick(r, tags)) + " " + word(r) + "\n\n")
		} else {
			b.WriteString(", " + word(r) + " " + word(r) + ". ")
		}
	}
	return b.String()
}

// word makes one of about 20,000 rare words, so that the index is as wide as one
// of real texts.
func word(r *rand.Rand) string {
	const syllables = "ba be bi bo bu da de di do du fa fe ga go ka ki ko la le li lo ma me mi mo na ne no pa pe po ra re ri ro sa se so ta te ti to va ve vi"
	list := strings.Fields(syllables)
	return pick(r, list) + pick(r, list) + pick(r, []string{"", "n", "r", "s", "t", "x", "ng", "st", "ck", "m"})
}

// The words of the seed, the more usual ones first.
var (
	subjects = strings.Fields(`face image text digit photo speech scene object pose hand street plant leaf flower bird cat dog car traffic
		medical tissue cell skin bone lung satellite crop forest river building road sign logo product food fruit fish insect sketch
		comic music voice noise language sentence document table receipt invoice contract email tweet review news price stock fraud`)
	tasks = strings.Fields(`detection classification segmentation recognition colorize caption ranking embedding tracking counting
		denoise deblur upscale restore translate summarize tagger parser matcher estimator generator align crop quality search`)
	families   = strings.Fields(`resnet vgg mobilenet squeezenet inception densenet yolo unet lenet alexnet bert gpt word2vec lstm transformer crnn ssd fcn`)
	frameworks = strings.Fields(`caffe onnx pytorch tensorflow keras darknet mxnet`)
	domains    = strings.Fields(`retail farming hospitals traffic archives museums newspapers factories schools phones cameras drones robots games banks`)
	verbs      = strings.Fields(`finds counts reads names outlines colours sharpens translates sorts rates compares describes tracks cleans predicts`)
	claims     = strings.Fields(`fast small accurate robust simple tiny quantized multilingual unsupervised pretrained distilled real-time offline`)
)
