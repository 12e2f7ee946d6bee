package badinput

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/serve"
)

// progressive is a JPEG of a size in the progressive form, whose coefficients a
// decoder must hold all at once: its first scan breaks off, behind as many bytes
// as the size asks for.
func progressive(w, h uint16) string {
	var b bytes.Buffer
	b.WriteString("\xff\xd8")
	for range 2 {
		b.WriteString("\xff\xfe\xff\xff" + strings.Repeat(" ", 0xfffd)) // a comment
	}
	b.WriteString("\xff\xdb\x00\x43\x00" + strings.Repeat("\x01", 64))
	b.WriteString("\xff\xc2\x00\x11\x08" + string([]byte{byte(h >> 8), byte(h), byte(w >> 8), byte(w)}) + "\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00")
	// One code, of one bit, for "nothing changes".
	b.WriteString("\xff\xc4\x00\x14\x00\x01" + strings.Repeat("\x00", 15) + "\x00")
	b.WriteString("\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x00\x00")
	b.WriteString(strings.Repeat("\x00", 1000))
	return b.String()
}

// workers gives the processes of the workers.
func (s *system) workers(t testing.TB) (pids []int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Data, "workers", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			PID int `json:"pid"`
		}
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, r.PID)
	}
	return pids
}

// Pictures of the largest size that is read, in the forms that cost a decoder
// most, many at once, in a worker that has a gigabyte: each is answered, and the
// worker lives.
func TestManyLargePicturesAtOnce(t *testing.T) {
	s := start(t, func(c *serve.Config) { c.WorkerMemory, c.Slots = 1<<30, 8 })
	s.push(t, "good/mean", pictureNet(t))
	before := s.workers(t)
	forms := map[string]string{}
	for _, side := range []int{3000, 7000} { // what waits for room, and what would never have any
		n := fmt.Sprintf("%d ", side)
		forms[n+"PNG"] = pngOf(t, uint32(side), uint32(side)) + strings.Repeat("\x00", 8000)
		forms[n+"progressive JPEG"] = progressive(uint16(side), uint16(side))
		forms[n+"WebP"] = webpOf(uint32(side), uint32(side))
		forms[n+"TIFF"] = tiffOf(uint32(side), uint32(side), 0, 1)
		forms[n+"BMP"] = bmpOf(uint32(side), uint32(side)) + strings.Repeat("\x00", side*1000)
	}
	for name, data := range forms {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					a := s.send(t, request{path: "/v1/algo/good/mean", ctype: binType, body: strings.NewReader(data)})
					if a.status != http.StatusOK || a.kind != stoa.Invalid.String() && a.kind != stoa.TooLarge.String() {
						t.Errorf("status %d, kind %q: %.300s", a.status, a.kind, a.body)
					}
				})
			}
			wg.Wait()
			for _, pid := range s.workers(t) {
				t.Logf("worker %d: at most %d MiB", pid, peak(t, pid)>>20)
			}
			s.good(t)
		})
	}
	if after := s.workers(t); len(after) != 1 || after[0] != before[0] {
		t.Errorf("the worker was %v and is %v", before, after)
	}
}
