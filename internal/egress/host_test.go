package egress

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
)

func TestParseTarget(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"example.com:443", "example.com:443"},
		{"EXAMPLE.Com.:443", "example.com:443"},
		{"example.com", "example.com:0"},
		{"xn--bcher-kva.example:80", "xn--bcher-kva.example:80"},
		{"a_b.example:80", "a_b.example:80"},
		{"localhost:80", "localhost:80"},
		{"127.0.0.1:80", "127.0.0.1:80"},
		{"127.0.0.1.:80", "127.0.0.1:80"},
		{"2130706433:80", "127.0.0.1:80"},
		{"0x7f000001:80", "127.0.0.1:80"},
		{"0X7F.1:80", "127.0.0.1:80"},
		{"017700000001:80", "127.0.0.1:80"},
		{"0177.0.0.01:80", "127.0.0.1:80"},
		{"127.1:80", "127.0.0.1:80"},
		{"127.0.1:80", "127.0.0.1:80"},
		{"0:80", "0.0.0.0:80"},
		{"169.254.43518:80", "169.254.169.254:80"},
		{"[::1]:80", "[::1]:80"},
		{"[0:0:0:0:0:0:0:1]:80", "[::1]:80"},
		{"[::ffff:127.0.0.1]:80", "127.0.0.1:80"},
		{"[::ffff:7f00:1]:80", "127.0.0.1:80"},
		{"[2001:DB8::1]", "[2001:db8::1]:0"},
		{"1.example:1", "1.example:1"},
		{"127.0.0.1.nip.example:80", "127.0.0.1.nip.example:80"},
	} {
		got, err := parseTarget(c.in)
		if err != nil || got.String() != c.want {
			t.Errorf("parseTarget(%q) = %q, %v, want %q", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{
		"", ":80", ".", "..", "a..b:80", "example.com:", "example.com:0", "example.com:65536", "example.com:+80", "example.com:8 0", "example.com:000080",
		"example.com:80:80", "::1", "[::1", "[::1]x:80", "[::1%eth0]:80", "[::1%25lo]:80", "[127.0.0.1]:80", "[example.com]:80", "256.1.1.1:80", "1.2.3.4.5:80",
		"1.2.3.256:80", "0x:80", "09:80", "4294967296:80", "a b:80", "a%00b:80", "ex%61mple.com:80", "user@example.com:80", "exämple.com:80", "１２７.0.0.1:80", "a/b:80",
		"a\\b:80", "example.com.:80.", "http://example.com", "*:80", "a,b:80", strings.Repeat("a", 64) + ".example:80", strings.Repeat("a.", 130) + "example:80",
	} {
		if got, err := parseTarget(in); err == nil || stoa.KindOf(err) != stoa.Invalid {
			t.Errorf("parseTarget(%q) = %q, %v", in, got, err)
		}
	}
}

func TestNotPublic(t *testing.T) {
	for _, a := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1", "172.31.255.255",
		"192.168.1.1", "192.0.0.8", "198.18.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::",
		"fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "2600::1%eth0", "fec0::1", "ff02::1", "5f00::1", "3fff::1",
	} {
		if notPublic(netip.MustParseAddr(a)) == "" {
			t.Errorf("%s counts as public", a)
		}
	}
	for _, a := range []string{"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "193.0.0.1", "223.255.255.255", "::ffff:8.8.8.8", "2606:4700::1111", "2a00:1450::1"} {
		if what := notPublic(netip.MustParseAddr(a)); what != "" {
			t.Errorf("%s counts as %s address", a, what)
		}
	}
	if notPublic(netip.Addr{}) == "" {
		t.Error("no address counts as public")
	}
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		list, target string
		rule         string // "": not allowed
		exact        bool
	}{
		{"example.com", "example.com:443", "example.com", true},
		{"example.com", "example.com:80", "example.com", true},
		{"example.com", "example.com:8080", "", false},
		{"example.com:8080", "example.com:8080", "example.com:8080", true},
		{"example.com:8080", "example.com:443", "", false},
		{"Example.COM.", "example.com:443", "Example.COM.", true},
		{"example.com", "www.example.com:443", "", false},
		{"*.example.com", "www.example.com:443", "*.example.com", false},
		{"*.example.com", "a.b.example.com:443", "*.example.com", false},
		{"*.example.com", "example.com:443", "", false},
		{"*.example.com", "notexample.com:443", "", false},
		{"*.example.com:8443", "www.example.com:8443", "*.example.com:8443", false},
		{"*.example.com www.example.com", "www.example.com:443", "www.example.com", true},
		{"*", "example.com:443", "*", false},
		{"*", "example.com:22", "", false},
		{"*:22", "example.com:22", "*:22", false},
		{"10.0.0.1", "10.0.0.1:80", "10.0.0.1", true},
		{"10.0.0.1", "167772161:80", "10.0.0.1", true},
		{"*.1", "10.0.0.1:80", "bad", false},
		{"::1", "[::1]:80", "::1", true},
		{"[::1]:8080", "[::1]:8080", "[::1]:8080", true},
		{"", "example.com:443", "", false},
		{"a/b", "example.com:443", "bad", false},
		{"*example.com", "example.com:443", "bad", false},
		{"www.*.com", "example.com:443", "bad", false},
	} {
		rs, err := parseRules(strings.Fields(c.list))
		if err != nil {
			if c.rule != "bad" {
				t.Errorf("%q: %v", c.list, err)
			}
			continue
		}
		target, err := parseTarget(c.target)
		if err != nil {
			t.Fatal(err)
		}
		r, exact, ok := rs.find(target)
		if ok != (c.rule != "") || r.text != c.rule || exact != c.exact {
			t.Errorf("%q for %s: %q, exact %t, ok %t", c.list, c.target, r.text, exact, ok)
		}
	}
}

// FuzzTarget: what is read as a host is stable, and no address hides in a name.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"example.com:443", "[::1]:80", "0x7f.1:80", "127.0.0.1.", "[::ffff:1.2.3.4]:1", "*.a:1", "[fe80::1%25eth0]:80", "a:b@c:1", "2130706433"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseTarget(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(got.host, "%@/\\ \t\r\n") || got.host == "" || got.host != strings.ToLower(got.host) {
			t.Fatalf("%q has the host %q", s, got.host)
		}
		if a, err := netip.ParseAddr(got.host); (err == nil) != got.addr.IsValid() || err == nil && a != got.addr {
			t.Fatalf("%q: host %q, address %s", s, got.host, got.addr)
		}
		if got.port == 0 {
			return
		}
		again, err := parseTarget(got.String())
		if err != nil || again != got {
			t.Fatalf("%q gives %q, which gives %q, %v", s, got, again, err)
		}
	})
}
