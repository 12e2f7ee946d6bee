package cgroup

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzKernelsFiles: whatever stands in them, no group is looked for outside the
// hierarchy's mount.
func FuzzKernelsFiles(f *testing.F) {
	f.Add("30 1 0:1 / /sys/fs/cgroup/memory rw shared:2 - cgroup none rw,memory\n", "4:memory:/own\n0::/\n")
	f.Add("33 1 0:4 /part /sys/fs/cgroup rw - cgroup2 none rw\n", "0::/part/../../etc\n")
	f.Add("x - cgroup\n - \n", "::\n:\n")
	f.Fuzz(func(t *testing.T, mounts, groups string) {
		own := parseGroups(groups)
		for c, m := range parseMounts(mounts) {
			in := strings.TrimPrefix(own[c], strings.TrimSuffix(m.root, "/"))
			base := filepath.Join(m.point, filepath.Join("/", in))
			if rel, err := filepath.Rel(filepath.Clean(m.point), base); err != nil || !filepath.IsLocal(rel) {
				t.Errorf("%q: %q lies outside of %q", c, base, m.point)
			}
		}
	})
}
