package catalog_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/catalog"
)

func TestResolve(t *testing.T) {
	e := open(t)
	one := e.publish(ada, "me/Net", "public", "c1")
	e.publish(ada, "Ada/net", "private", "c2")
	e.publish(ada, "secret", "private", "c1")
	for _, c := range []struct {
		who       stoa.Caller
		ref, want string
	}{
		{bob, "ada/net", "0.1.0"},
		{ada, "ADA/NET/", "0.1.0"},
		{ada, "ada/net/latestPrivate", "0.2.0"},
		{ada, "ada/net/0.2.0", "0.2.0"},
		{admin, "algo://ada/net/0.2.0", "0.2.0"},
		{bob, "ada/net/0.2.0", "version 0.2.0 of algorithm algo://ada/net not found; the nearest is 0.1.0"},
		{bob, "Ada/Net/9.9.9", "version 9.9.9 of algorithm algo://Ada/Net not found; the nearest is 0.1.0"},
		{bob, "Ada/Secret", "algorithm algo://Ada/Secret not found"},
		{bob, "Ada/Secret/0.1.0", "algorithm algo://Ada/Secret not found"},
		{stoa.Caller{}, "ada/secret", "algorithm algo://ada/secret not found"},
		{ada, "ada/secret", "0.1.0"},
		{admin, "ada/secret", "0.1.0"},
		{ada, "ada/None", "algorithm algo://ada/None not found"},
		{ada, "ada/None/1.0.0", "algorithm algo://ada/None not found"},
		{ada, "ada/net/" + one.Hash, "0.1.0"},
		{ada, "ada/net/" + one.Hash[:40], "0.1.0"},
	} {
		for range 2 { // from the store, from memory
			if got := e.resolve(c.who, c.ref); got != c.want {
				t.Errorf("%s for %s: %s, want %s", c.ref, c.who.Account, got, c.want)
			}
		}
	}
}

func TestResolveByUUID(t *testing.T) {
	e := open(t)
	v := e.publish(ada, "net", "public", "c1")
	for range 2 {
		for _, id := range []string{v.Algorithm, strings.ToUpper(v.Algorithm)} {
			got, err := e.Resolve(t.Context(), bob, stoa.Ref{Owner: id})
			if err != nil || got.ID != v.ID {
				t.Errorf("Resolve(%s) = %v, %v", id, got, err)
			}
		}
	}
	if got := e.publish(ada, "net", "public", "c2"); e.resolve(bob, "ada/net") != got.Number.String() {
		t.Error("the old version is still remembered")
	}
	got, err := e.Resolve(t.Context(), bob, stoa.Ref{Owner: v.Algorithm})
	if err != nil || got.Number.String() != "0.2.0" {
		t.Errorf("by UUID: %v, %v", got, err)
	}
	for _, id := range []string{"ada", "", "00000000-0000-4000-8000-000000000000"} {
		_, err := e.Resolve(t.Context(), ada, stoa.Ref{Owner: id})
		wants(t, err, stoa.NotFound, "algorithm algo://"+id+" not found")
	}
}

func TestResolveSeesChangesAtOnce(t *testing.T) {
	e := open(t)
	e.publish(ada, "net", "public", "c1")
	for i := 2; i < 5; i++ {
		if got, want := e.resolve(bob, "ada/net"), fmt.Sprintf("0.%d.0", i-1); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		e.publish(ada, "net", "public", fmt.Sprint("c", i))
	}
	if err := e.Remove(t.Context(), ada, ref(t, "ada/net/0.4.0")); err != nil {
		t.Fatal(err)
	}
	if got := e.resolve(bob, "ada/net"); got != "0.3.0" {
		t.Errorf("after the removal: %s", got)
	}
	if err := e.Remove(t.Context(), ada, ref(t, "ada/net")); err != nil {
		t.Fatal(err)
	}
	if got := e.resolve(bob, "ada/net"); got != "algorithm algo://ada/net not found" {
		t.Errorf("after the removal of all: %s", got)
	}
}

func TestResolveRemembersOnlyWhatIs(t *testing.T) {
	e := open(t)
	e.publish(ada, "net", "public", "c1")
	e.resolve(bob, "ada/net")
	before := e.store.lookups.Load()
	for range 10 {
		e.resolve(bob, "ADA/net")
		e.resolve(bob, "ada/net/0.1.0")
		e.resolve(ada, "ada/net/0.*")
	}
	if n := e.store.lookups.Load() - before; n != 0 {
		t.Errorf("30 calls of a known algorithm asked the store %d times", n)
	}
	e.resolve(bob, "ada/none")
	e.resolve(bob, "ada/none")
	if n := e.store.lookups.Load() - before; n != 2 {
		t.Errorf("what does not exist was asked for %d times, want 2: nothing may remember it", n)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Resolve(cancelled, bob, ref(t, "ada/none")); stoa.KindOf(err) != stoa.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

func TestResolveDoesNotAllocate(t *testing.T) {
	e := open(t)
	v := e.publish(ada, "net", "public", "c1")
	for _, r := range []stoa.Ref{ref(t, "Ada/Net"), ref(t, "ada/net/0.1.*"), {Owner: v.Algorithm}} {
		e.Resolve(t.Context(), bob, r)
		if n := testing.AllocsPerRun(100, func() { e.Resolve(t.Context(), bob, r) }); n > 0 {
			t.Errorf("%v: %v allocations, want none", r, n)
		}
	}
}

func BenchmarkResolve(b *testing.B) {
	e := open(b)
	for i := range 50 {
		e.publish(ada, "net", "public", fmt.Sprint("c", i))
	}
	for _, s := range []string{"ada/net", "ada/net/0.1.0"} {
		r := ref(b, s)
		b.Run(strings.ReplaceAll(s, "/", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Resolve(b.Context(), bob, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestVersions(t *testing.T) {
	e := open(t)
	e.publish(ada, "net", "private", "c1")
	e.publish(ada, "net", "public", "c2")
	e.publish(ada, "net", "private", "c3")
	e.publish(ada, "secret", "private", "c1")
	numbers := func(who stoa.Caller, s string) string {
		vs, err := e.Versions(t.Context(), who, ref(t, s))
		if err != nil {
			return stoa.AsError(err).Msg
		}
		var out []string
		for _, v := range vs {
			out = append(out, v.Number.String())
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		who       stoa.Caller
		ref, want string
	}{
		{ada, "ada/net", "0.3.0 0.2.0 0.1.0"},
		{admin, "ada/net/0.1.0", "0.3.0 0.2.0 0.1.0"},
		{bob, "ada/net", "0.2.0"},
		{bob, "Ada/secret", "algorithm algo://Ada/secret not found"},
		{bob, "Ada/none", "algorithm algo://Ada/none not found"},
	} {
		if got := numbers(c.who, c.ref); got != c.want {
			t.Errorf("%s for %s: %s, want %s", c.ref, c.who.Account, got, c.want)
		}
	}
}

func TestSearch(t *testing.T) {
	e := open(t)
	e.publish(ada, "zebra", "public", "c1")
	e.publish(ada, "zebra", "private", "c2")
	e.publish(ada, "secret", "private", "c1")
	e.publish(bob, "Net", "public", "c1")
	list := func(who stoa.Caller, q catalog.Query) []string {
		t.Helper()
		found, err := e.Search(t.Context(), who, q)
		if err != nil {
			t.Fatal(err)
		}
		out := []string{}
		for _, v := range found.Versions {
			out = append(out, v.Owner+"/"+v.Name+"/"+v.Number.String())
		}
		return out
	}
	for _, c := range []struct {
		who  stoa.Caller
		q    catalog.Query
		want []string
	}{
		{stoa.Caller{}, catalog.Query{}, []string{"bob/Net/0.1.0", "Ada/zebra/0.1.0"}},
		{ada, catalog.Query{}, []string{"bob/Net/0.1.0", "Ada/secret/0.1.0", "Ada/zebra/0.1.0"}},
		{admin, catalog.Query{Owner: "ADA"}, []string{"Ada/secret/0.1.0", "Ada/zebra/0.1.0"}},
		{admin, catalog.Query{Limit: 1, Offset: 1}, []string{"Ada/secret/0.1.0"}},
		{bob, catalog.Query{Owner: "eve"}, []string{}},
		{bob, catalog.Query{Text: "ART greets NET"}, []string{"bob/Net/0.1.0"}},
		{bob, catalog.Query{Text: "colour"}, []string{"bob/Net/0.1.0", "Ada/zebra/0.1.0"}},
		{bob, catalog.Query{Text: "secret"}, []string{}},
		{bob, catalog.Query{Text: "colour elephant"}, []string{}},
	} {
		if diff := cmp.Diff(c.want, list(c.who, c.q)); diff != "" {
			t.Errorf("%+v for %s: want -, got +\n%s", c.q, c.who.Account, diff)
		}
	}
}

func TestRemove(t *testing.T) {
	e := open(t)
	e.publish(ada, "net", "public", "c1")
	e.publish(ada, "net", "public", "c2")
	e.publish(ada, "secret", "private", "c1")
	wants(t, e.Remove(t.Context(), bob, ref(t, "ada/net")), stoa.Forbidden, "only Ada")
	wants(t, e.Remove(t.Context(), stoa.Caller{}, ref(t, "ada/net/0.1.0")), stoa.Forbidden)
	wants(t, e.Remove(t.Context(), bob, ref(t, "ada/secret")), stoa.NotFound, "algorithm algo://ada/secret not found")
	wants(t, e.Remove(t.Context(), ada, ref(t, "ada/none")), stoa.NotFound)
	wants(t, e.Remove(t.Context(), ada, ref(t, "ada/net/9.9.9")), stoa.NotFound, "version 9.9.9 of")
	for _, vague := range []string{"0.*", "0.1.*", "latestPrivate", strings.Repeat("a", 40)} {
		wants(t, e.Remove(t.Context(), ada, ref(t, "ada/net/"+vague)), stoa.Invalid, "exactly")
	}
	e.clean()
	for _, step := range []struct {
		who stoa.Caller
		ref string
	}{{ada, "ADA/net/0.1.0"}, {admin, "ada/secret"}, {ada, "ada/net"}} {
		if err := e.Remove(t.Context(), step.who, ref(t, step.ref)); err != nil {
			t.Errorf("removing %s: %v", step.ref, err)
		}
		wants(t, e.Remove(t.Context(), step.who, ref(t, step.ref)), stoa.NotFound)
		e.clean()
	}
	if left := e.stored(); len(left) != 0 {
		t.Errorf("blobs left: %v", left)
	}
}

func TestOpenFile(t *testing.T) {
	e := open(t)
	e.publish(ada, "net", "private", "c1")
	for name, want := range map[string]string{"samples/a.txt": "sample", "net.caffemodel": "c1", "stoa.yaml": "name: net\n"} {
		c, err := e.OpenFile(t.Context(), ada, ref(t, "ada/net"), name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b, err := io.ReadAll(c)
		c.Close()
		if err != nil || !strings.HasPrefix(string(b), want) {
			t.Errorf("%s holds %q, %v", name, b, err)
		}
	}
	_, err := e.OpenFile(t.Context(), ada, ref(t, "ada/net"), "none")
	wants(t, err, stoa.NotFound, `Ada/net/0.1.0 has no file "none"`)
	_, err = e.OpenFile(t.Context(), ada, ref(t, "ada/net"), "../../lock")
	wants(t, err, stoa.NotFound)
	_, err = e.OpenFile(t.Context(), bob, ref(t, "ada/net"), "samples/a.txt")
	wants(t, err, stoa.NotFound, "algorithm algo://ada/net not found")
}
