package web

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	_ "embed" // the words

	"github.com/stoa-project/stoa"
)

// Every text that the site shows stands in words.json, for templates, Go and
// TypeScript alike: by page and by name. {0}, {1} stand for values.
//
//go:embed words.json
var wordsFile []byte

// words are the texts by section and name.
type words map[string]map[string]string

func readWords() (words, error) {
	var w words
	if err := json.Unmarshal(wordsFile, &w); err != nil {
		return nil, stoa.Wrap(stoa.Internal, err, "words.json cannot be read: %v", err)
	}
	return w, nil
}

// find gives the text of a key such as "home.title".
func (w words) find(key string) (string, error) {
	section, name, _ := strings.Cut(key, ".")
	text, ok := w[section][name]
	if !ok {
		return "", stoa.Errorf(stoa.Internal, "words.json has no %q", key)
	}
	return text, nil
}

// say gives a text with its values.
func (w words) say(key string, values ...any) (string, error) {
	text, err := w.find(key)
	if err != nil || len(values) == 0 {
		return text, err
	}
	pairs := make([]string, 0, 2*len(values))
	for i, v := range values {
		pairs = append(pairs, "{"+strconv.Itoa(i)+"}", fmt.Sprint(v))
	}
	return strings.NewReplacer(pairs...).Replace(text), nil
}
