package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-project/stoa/internal/account"
	"github.com/stoa-project/stoa/internal/store/sqlite"
	"github.com/stoa-project/stoa/internal/store/storetest"
)

const (
	searched = 10_000 // algorithms
	searches = 200    // requests for each figure
	warm     = 5      // and before them, to fill the page cache
)

// search times GET /v1/algorithms over many algorithms, from the client's side of
// the loopback: the goal is for the server alone, so that this is a little more.
func search(w io.Writer, dir string) error {
	data := filepath.Join(dir, "data")
	if err := seed(data); err != nil {
		return err
	}
	s, err := startStoa(data)
	if err != nil {
		return err
	}
	defer s.stop()
	visitor, err := s.newKey("visitor")
	if err != nil {
		return err
	}
	var worst time.Duration
	fmt.Fprintf(w, "%-46s %10s %10s %10s %10s %10s %8s\n", "", "stranger's", "p99", "admin's", "p99", "processor", "found")
	for _, c := range []struct{ what, query string }{
		{"no text", ""},
		{"one letter", "q=f"},
		{"two letters", "q=fa"},
		{"a whole word", "q=face"},
		{"a word of nearly every README", "q=the"},
		{"three words", "q=face+detection+retail"},
		{"three words of nearly every README", "q=trained+on+the"},
		{"a word that nobody has", "q=xylophone"},
		{"no text, one kind", "kind=model"},
		{"no text, one framework", "framework=caffe"},
		{"no text, one owner", "owner=owner07"},
		{"one letter, one kind and framework", "q=f&kind=model&framework=mxnet"},
		{"no text, 8,000 passed over", "marker=YWZ0ZXI6ODAwMA"},
		{"one letter, 8,000 passed over", "q=f&marker=YWZ0ZXI6ODAwMA"},
	} {
		fmt.Fprintf(w, "%-46s", c.what)
		total := 0
		before, err := s.processorTime()
		if err != nil {
			return err
		}
		for _, key := range []string{visitor, s.key} {
			times, n, err := s.search(key, c.query)
			if err != nil {
				return fmt.Errorf("%s: %w", c.what, err)
			}
			p99 := times[len(times)*99/100]
			worst, total = max(worst, p99), n
			fmt.Fprintf(w, " %10v %10v", median(times).Round(10*time.Microsecond), p99.Round(10*time.Microsecond))
		}
		after, err := s.processorTime()
		if err != nil {
			return err
		}
		each := (after - before) / (2 * (searches + warm))
		fmt.Fprintf(w, " %10v %8d\n", each.Round(10*time.Microsecond), total)
	}
	fmt.Fprintf(w, "worst p99 of %d searches among %d algorithms: %v (goal: 30ms)\n", searches, searched, worst.Round(10*time.Microsecond))
	return nil
}

// processorTime is what the server used of the processors so far: unlike the
// times, it does not depend on what else the machine does.
func (p process) processorTime() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// After the name in brackets: fields 14 and 15 are user and system time, in
	// hundredths of a second.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("the process's stat has %d fields", len(fields))
	}
	var sum time.Duration
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum, nil
}

// seed fills a data folder that no server has yet, and makes a user who owns
// nothing: he sees what a stranger does.
func seed(data string) error {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, data)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Accounts().AddUser(ctx, account.User{Name: "visitor", Created: time.Now()}); err != nil {
		return err
	}
	return storetest.Seed(ctx, db.Catalog(), searched)
}

func (s *server) newKey(user string) (string, error) {
	req, err := http.NewRequest(http.MethodPost, s.url+"/v1/keys", bytes.NewReader([]byte(`{"user":"`+user+`"}`)))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	var k struct{ Key string }
	err = s.json(req, s.key, &k)
	return k.Key, err
}

func (s *server) json(req *http.Request, key string, into any) error {
	req.Header.Set("Authorization", key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s: %s", res.Status, b)
	}
	return json.Unmarshal(b, into)
}

// search gives the times of searches, sorted, and how many are found.
func (s *server) search(key, query string) ([]time.Duration, int, error) {
	u := s.url + "/v1/algorithms?" + query
	if query != "" {
		u += "&"
	}
	u += url.Values{"limit": {"24"}}.Encode()
	var found struct{ Total int }
	times := make([]time.Duration, 0, searches)
	for i := range searches + warm {
		req, err := http.NewRequest(http.MethodGet, u, nil)
		if err != nil {
			return nil, 0, err
		}
		start := time.Now()
		if err := s.json(req, key, &found); err != nil {
			return nil, 0, err
		}
		if i >= warm {
			times = append(times, time.Since(start))
		}
	}
	slices.Sort(times)
	return times, found.Total, nil
}
