package frameworks

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/serve/servetest"
)

func TestMain(m *testing.M) { os.Exit(servetest.Main(m)) }

// album is a network of the assets with pictures and what they show.
type album struct {
	dir     string // of the assets
	files   string // of the model
	picture string // the settings in stoa.yaml
	labels  string // the labels in stoa.yaml, or the file of them
	shows   map[string]string
}

const (
	digitNames = `["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]`
	cifarNames = "[airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck]"
	// cifarMean is the mean of each channel of the training pictures; the networks
	// were trained with one for each pixel, which the settings do not have.
	cifarMean = "colour: rgb, mean: [125.3, 122.95, 113.87]"
)

func digits(dir string) map[string]string {
	out := map[string]string{}
	for i, digit := range "7210414959" {
		name := fmt.Sprintf("t10k_%02d_is_%c.png", i, digit)
		if _, err := os.Stat(filepath.Join(assets, dir, name)); err == nil {
			out[name] = string(digit)
		}
	}
	return out
}

func cifar() map[string]string {
	return map[string]string{
		"00000_cat.png": "cat", "00001_ship.png": "ship", "00002_ship.png": "ship", "00003_airplane.png": "airplane", "00004_frog.png": "frog", "00005_frog.png": "frog",
	}
}

func albums() []album {
	return []album{
		{"caffe/lenet-mnist", "deploy.prototxt, lenet.caffemodel", "colour: grey, scale: 0.00390625", digitNames, digits("caffe/lenet-mnist")},
		{"keras/mnist-cnn-sequential", "keras_mnist_cnn.h5", "colour: grey, scale: 0.00392156862745098, layout: nhwc", digitNames, digits("keras/mnist-cnn-sequential")},
		{"cntk/mnist-conv-v2", "mnist_conv.cmf", "colour: grey", digitNames, digits("cntk/mnist-conv-v2")},
		{"caffe/cifar10-quick-hdf5", "deploy.prototxt, cifar10_quick_iter_5000.caffemodel.h5", cifarMean, cifarNames, cifar()},
		{"caffe/cifar10-quick-v1layers", "deploy.prototxt, cifar10_quick_iter_5000.caffemodel", cifarMean, cifarNames, cifar()},
		{"theano/lasagne-resnet32-cifar10", "lasagne.yaml, cifar_model_n5.npz", cifarMean + ", scale: 0.00392156862745098", cifarNames, cifar()},
		{
			"theano/lasagne-squeezenet-places365", "lasagne.yaml, squeezenet_weights_places365.params",
			"colour: bgr, resize: cover, width: 224, height: 224, mean: [104.05, 112.51, 116.68], scale: 0.00392156862745098", "places.txt",
			map[string]string{"mountains.jpg": "mountain_path", "horse.jpg": "corral"},
		},
		{
			"keras/emotion-mini-xception", "fer2013_mini_XCEPTION.102-0.66.hdf5", "colour: grey, mean: 127.5, scale: 0.00784313725490196, layout: nhwc", "labels.txt",
			map[string]string{"face0.png": "neutral", "face1.png": "happy", "face2.png": "happy", "face3.png": "happy"},
		},
		{"pytorch/scene6-own", "scene6_scripted.pt", "colour: rgb, width: 64, height: 64, mean: 127.5, scale: 0.01568627450980392", "labels.txt", map[string]string{"mountains.jpg": "glacier"}},
	}
}

// The networks of the assets, pushed and called with pictures through a server,
// see what the pictures show.
func TestPicturesGiveTheirLabels(t *testing.T) {
	if _, err := os.Stat(assets); err != nil {
		t.Skip("SKIPPED: ../shared/assets is not here")
	}
	s := servetest.Start(t, t.TempDir(), nil)
	for _, a := range albums() {
		t.Run(a.dir, func(t *testing.T) { a.hold(t, s) })
	}
}

func (a album) hold(t *testing.T, s *servetest.System) {
	dir := filepath.Join(assets, a.dir)
	r := client.PushRequest{As: "me/" + strings.ReplaceAll(filepath.Base(a.dir), "-", "_")}
	for name := range strings.SplitSeq(a.files, ", ") {
		f := client.PushFile{Name: name, Path: filepath.Join(dir, name)}
		if name == "lasagne.yaml" {
			f.Path = filepath.Join(root, "internal/importer/theano/testdata", filepath.Base(a.dir), name)
		}
		r.Files = append(r.Files, f)
	}
	labels := "names: " + a.labels
	if !strings.HasPrefix(a.labels, "[") {
		labels = "file: labels.txt"
		r.Files = append(r.Files, client.PushFile{Name: "labels.txt", Data: labelFile(t, filepath.Join(dir, a.labels))})
	}
	r.Manifest = fmt.Sprintf("kind: model\nmodel: {files: [%s]}\ninput:\n  - picture: {%s}\noutput:\n  - labels: {%s, top: 1}\n", a.files, a.picture, labels)
	made, err := s.Push(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range a.shows {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := s.Call(t.Context(), made.Owner+"/"+made.Name, stoa.Value{Type: stoa.Binary, Data: data}, client.CallOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var best struct {
			Label string `json:"label"`
		}
		if err := json.Unmarshal(answer.Value.Data, &best); err != nil || best.Label != want {
			t.Errorf("%s is %.200s, want %s", file, answer.Value.Data, want)
		}
	}
}

// labelFile reads a file of labels. That of Places is made of its list of
// categories, whose lines are like "/m/mountain_path 232".
func labelFile(t *testing.T, path string) []byte {
	t.Helper()
	places := filepath.Base(path) == "places.txt"
	if places {
		path = filepath.Join(filepath.Dir(path), "categories_places365.txt")
	}
	data, err := os.ReadFile(path)
	if err != nil || !places {
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var out []byte
	for sc := bufio.NewScanner(bytes.NewReader(data)); sc.Scan(); {
		name, _, _ := strings.Cut(sc.Text(), " ")
		const letter = len("/a/")
		out = append(append(out, name[letter:]...), '\n')
	}
	return out
}
