package sandbox

import "testing"

// FuzzStatus: the status of a process, of which the name is the program's own.
func FuzzStatus(f *testing.F) {
	f.Add("Name:\tx\nRssAnon:\t    1024 kB\nRssFile:\t 1 kB\nRssShmem:\t   2 kB\n")
	f.Add("RssAnon: -5 kB\n")
	f.Add("Name:\tRssAnon: 5 kB\n")
	f.Fuzz(func(t *testing.T, s string) {
		if own, shared := private(s); own < 0 || shared < 0 || own%1024 != 0 || shared%1024 != 0 {
			t.Errorf("%d and %d bytes", own, shared)
		}
	})
}

func TestPrivateMemory(t *testing.T) {
	const status = "Name:\tpython3\nRssAnon:\t    1024 kB\nRssFile:\t   77 kB\nRssShmem:\t   2 kB\nThreads:\t3\n"
	if own, shared := private(status); own != 1024<<10 || shared != 2<<10 {
		t.Errorf("%d and %d, want 1024 and 2 KiB", own, shared)
	}
}

// FuzzName: what is taken as a sandbox's name can be a group's and a host's.
func FuzzName(f *testing.F) {
	for _, s := range []string{"a", "w-1", "../x", "", "-x", "a/b", "a.b", "ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !validName(s) {
			return
		}
		for _, r := range s {
			if r > 'z' || r == '/' || r == '.' || r == 0 {
				t.Errorf("%q is taken", s)
			}
		}
	})
}
