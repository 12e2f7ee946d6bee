package code

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/client"
	"github.com/stoa-project/stoa/internal/serve/servetest"
)

// The demo calls two models on a real photo, and answers with both answers.
func TestPostcard(t *testing.T) {
	s := server(t, nil)
	for _, demo := range []string{"colorize", "places"} {
		if _, err := s.Push(t.Context(), servetest.Bundle(t, "../../demo/"+demo)); err != nil {
			t.Fatal(err)
		}
	}
	push(t, s, bundle(t, "../../demo/postcard"))
	for sample, place := range map[string]string{"mountains.jpg": "glacier", "stream.jpg": "forest"} {
		photo, err := os.ReadFile("../../demo/postcard/samples/" + sample)
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.Call(t.Context(), "demo/postcard", stoa.Value{Type: stoa.Binary, Data: photo}, client.CallOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var card struct {
			Caption, Place, Photo string
			Score                 float64
		}
		if err := json.Unmarshal(res.Value.Data, &card); err != nil || !strings.HasPrefix(card.Photo, "data:image/jpeg;base64,/9j/") || len(card.Photo) < 20_000 {
			t.Errorf("%v: a photo of %d bytes", err, len(card.Photo))
		}
		if card.Place != place || !strings.HasPrefix(card.Caption, "Greetings from") {
			t.Errorf("%s: %q, %s with %g", sample, card.Caption, card.Place, card.Score)
		}
	}
}
