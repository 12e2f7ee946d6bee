package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/chromedp/chromedp"
)

const paints = 15 // visits of each page

// pages measures the site among many algorithms: how large each page and its
// script are, how long the list takes as one types, and how much later than a
// static text of the same server a page is seen. Each visit is a new visitor's:
// nothing is in the browser's cache. Pages take turns.
func pages(w io.Writer, dir string) error {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		return fmt.Errorf("the pages are measured in Chromium (apt-get install chromium): %w", err)
	}
	data := filepath.Join(dir, "data")
	if err := seed(data); err != nil {
		return err
	}
	s, err := startStoa(data)
	if err != nil {
		return err
	}
	defer s.stop()
	for _, d := range []string{"digits", "colorize", "places"} {
		if err := s.stoa("push", "demo/"+d); err != nil {
			return err
		}
	}
	const static = "/files/demo/places/LICENCE.md"
	paths := []string{static, "/", "/?q=face&framework=caffe", "/?from=9600", "/algorithms/demo/colorize", "/sign-in"}
	fmt.Fprintf(w, "%-30s %12s %16s\n", "", "HTML, bytes", "script, gzipped")
	for _, p := range paths[1:] {
		html, script, err := s.weigh(p)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%-30s %12d %16d\n", p, html, script)
	}
	if err := s.timeList(w); err != nil {
		return err
	}
	ctx, stop, err := startChromium(chromium, dir)
	if err != nil {
		return err
	}
	defer stop()
	seen := map[string][]time.Duration{}
	for range paints {
		for _, p := range paths {
			at, err := firstPaint(ctx, s.url+p)
			if err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			seen[p] = append(seen[p], at)
		}
	}
	slices.Sort(seen[static])
	base := median(seen[static])
	fmt.Fprintf(w, "%-30s %12s %16s\n", "", "first paint", "after the static")
	for _, p := range paths {
		slices.Sort(seen[p])
		m := median(seen[p])
		fmt.Fprintf(w, "%-30s %12v %16v\n", p, m.Round(time.Millisecond), (m - base).Round(time.Millisecond))
	}
	return nil
}

// weigh gives the size of a page, and of its scripts as they travel.
func (s *server) weigh(path string) (html, script int, err error) {
	page, err := s.fetch(path)
	if err != nil {
		return 0, 0, err
	}
	for _, m := range regexp.MustCompile(`<script[^>]* src="([^"]*)"`).FindAllSubmatch(page, -1) {
		b, err := s.fetch(string(m[1]))
		if err != nil {
			return 0, 0, err
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(b); err != nil {
			return 0, 0, err
		}
		if err := z.Close(); err != nil {
			return 0, 0, err
		}
		script += packed.Len()
	}
	return len(page), script, nil
}

func (s *server) fetch(path string) ([]byte, error) {
	res, err := http.Get(s.url + path)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, res.Status)
	}
	return b, err
}

// timeList times the list as one types, over loopback.
func (s *server) timeList(w io.Writer) error {
	for _, q := range []string{"", "q=f", "q=fa", "q=face", "q=face+det", "q=the", "q=f&framework=caffe"} {
		times := make([]time.Duration, 0, searches)
		for i := range searches + warm {
			start := time.Now()
			if _, err := s.fetch("/list?" + q); err != nil {
				return err
			}
			if i >= warm {
				times = append(times, time.Since(start))
			}
		}
		slices.Sort(times)
		fmt.Fprintf(w, "%-30s median %v, p99 %v (goal 30ms)\n", "/list?"+q, median(times).Round(10*time.Microsecond), times[len(times)*99/100].Round(10*time.Microsecond))
	}
	return nil
}

func startChromium(path, dir string) (context.Context, func(), error) {
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(filepath.Join(dir, "profile")), chromedp.WindowSize(1280, 900),
		chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true),
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses root otherwise
	}
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(alloc)
	if err := chromedp.Do(ctx); err != nil {
		stop()
		stopAlloc()
		return nil, nil, err
	}
	return ctx, func() { stop(); stopAlloc() }, nil
}

// firstPaint visits a page as a new visitor, and gives the time from the start
// of the navigation to the first contentful paint.
func firstPaint(browser context.Context, url string) (time.Duration, error) {
	ctx, stop := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		return 0, err
	}
	// Asked from here, as the static text may run no script of its own.
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ms, err := chromedp.Run(ctx, chromedp.Evaluate[float64](`performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0`))
		if err != nil || ms > 0 {
			return time.Duration(ms * float64(time.Millisecond)), err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
	}
}
