package media

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"sync"
	"testing"

	"github.com/stoa-project/stoa"
)

func TestBudget(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewGray(image.Rect(0, 0, 1000, 1000))); err != nil {
		t.Fatal(err)
	}
	need := formatOf(file.Bytes()).memory(image.Config{Width: 1000, Height: 1000}, file.Bytes())
	decode := func(b *Budget) error {
		h := hold{budget: b}
		defer h.release()
		_, err := decodePicture(file.Bytes(), 1, defaultPixels, &h)
		return err
	}
	if err := decode(nil); err != nil {
		t.Errorf("without a bound: %v", err)
	}
	if err := decode(NewBudget(need - 1)); stoa.KindOf(err) != stoa.TooLarge || !strings.Contains(err.Error(), "PNG of 1000 x 1000 pixels") {
		t.Errorf("with too little: %v", err)
	}
	b := NewBudget(need + need/2) // room for one at a time
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := decode(b); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if !b.room.TryAcquire(b.size) {
		t.Error("not all was given back")
	}
}

func TestIsProgressive(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	base := b.String()
	for name, tt := range map[string]struct {
		data string
		want bool
	}{
		"baseline":    {base, false},
		"progressive": {strings.Replace(base, "\xff\xc0", "\xff\xc2", 1), true},
		"comment":     {base[:2] + "\xff\xfe\x00\x06\xff\xc2\x00\x00" + base[2:], false},
		"fill":        {base[:2] + "\xff\xff\xff" + base[2:], false},
		"cut off":     {base[:20], true},
		"nothing":     {"\xff\xd8\xff", true},
	} {
		if got := isProgressive([]byte(tt.data)); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
