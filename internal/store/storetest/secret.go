package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/catalog"
	"github.com/stoa-project/stoa/internal/secret"
)

// Vault is a store of algorithms and their secrets.
type Vault struct {
	Catalog catalog.Store
	Secrets secret.Store
}

// Secrets holds the store that open makes, empty and anew for every test, to what
// secret.Store promises.
func Secrets(t *testing.T, open func(t *testing.T) Vault) {
	for name, test := range map[string]func(*testing.T, Vault){
		"KeptAndListed": secretsKept,
		"Bounded":       secretsBounded,
		"Gone":          secretsGone,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func sealed(name, box string) secret.Sealed {
	return secret.Sealed{Name: secret.Name{Name: name, By: "ada", Set: noon}, Box: []byte(box)}
}

func secretsKept(t *testing.T, v Vault) {
	add(t, v.Catalog, version("Ada/Net", "a"), stoa.BumpMinor)
	must(t, v.Secrets.PutSecret(t.Context(), "ada/net", sealed("B", "one"), 9))
	must(t, v.Secrets.PutSecret(t.Context(), "Ada/Net", sealed("A", "\x00\xff"), 9))
	later := sealed("B", "two")
	later.Set = noon.Add(time.Hour)
	must(t, v.Secrets.PutSecret(t.Context(), "ada/net", later, 9))
	got, err := v.Secrets.Secrets(t.Context(), "ADA/net")
	must(t, err)
	same(t, "secrets", got, []secret.Sealed{sealed("A", "\x00\xff"), later})
	wants(t, v.Secrets.PutSecret(t.Context(), "ada/none", sealed("A", "x"), 9), stoa.NotFound)
	got, err = v.Secrets.Secrets(t.Context(), "ada/none")
	must(t, err)
	same(t, "of nothing", got, []secret.Sealed{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Secrets.Secrets(ctx, "ada/net"); err == nil {
		t.Error("a cancelled query answered")
	}
}

func secretsBounded(t *testing.T, v Vault) {
	add(t, v.Catalog, version("ada/net", "a"), stoa.BumpMinor)
	must(t, v.Secrets.PutSecret(t.Context(), "ada/net", sealed("A", "1"), 2))
	must(t, v.Secrets.PutSecret(t.Context(), "ada/net", sealed("B", "1"), 2))
	wants(t, v.Secrets.PutSecret(t.Context(), "ada/net", sealed("C", "1"), 2), stoa.Conflict)
	must(t, v.Secrets.PutSecret(t.Context(), "ada/net", sealed("B", "2"), 2))
}

func secretsGone(t *testing.T, v Vault) {
	a := add(t, v.Catalog, version("ada/net", "a"), stoa.BumpMinor)
	must(t, v.Secrets.PutSecret(t.Context(), "ada/net", sealed("A", "1"), 9))
	must(t, v.Secrets.PutSecret(t.Context(), "ada/net", sealed("B", "1"), 9))
	must(t, v.Secrets.RemoveSecret(t.Context(), "ada/NET", "A"))
	wants(t, v.Secrets.RemoveSecret(t.Context(), "ada/net", "A"), stoa.NotFound)
	must(t, v.Catalog.Remove(t.Context(), a.Algorithm, nil))
	add(t, v.Catalog, version("ada/net", "b"), stoa.BumpMinor)
	got, err := v.Secrets.Secrets(t.Context(), "ada/net")
	must(t, err)
	same(t, "secrets of the algorithm that was removed", got, []secret.Sealed{})
}
