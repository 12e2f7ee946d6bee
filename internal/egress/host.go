package egress

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/stoa-project/stoa"
)

// target is a host and a port in their plain form.
//
//	target = host [ ":" port ]
//	host   = name | IPv4 | "[" IPv6 "]"
//	name   = label { "." label } [ "." ]   letters, digits, "-" and "_"; the last
//	         label is no number
//	IPv4   = as inet_aton reads it: one to four numbers, decimal, octal or
//	         hexadecimal, the last of which fills what is left
//
// A name is in lower case and without the last dot; an address in its shortest
// form, an IPv4 address within an IPv6 one as IPv4.
type target struct {
	host string
	addr netip.Addr // valid where host is an address
	port uint16     // 0 where none was given
}

func (t target) String() string { return net.JoinHostPort(t.host, strconv.Itoa(int(t.port))) }

// maxHost is the length of the longest name that DNS has.
const maxHost = 253

// parseTarget reads a target. What some program might read as another host than
// we do is refused.
func parseTarget(s string) (target, error) {
	host, port, hasPort := s, "", false
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return target{}, badHost(s)
		}
		host = s[1:end]
		switch rest := s[end+1:]; {
		case strings.HasPrefix(rest, ":"):
			port, hasPort = rest[1:], true
		case rest != "":
			return target{}, badHost(s)
		}
		addr, err := netip.ParseAddr(host)
		if err != nil || addr.Zone() != "" || !addr.Is6() {
			return target{}, badHost(s)
		}
		return withPort(s, target{addr: addr.Unmap(), host: addr.Unmap().String()}, port, hasPort)
	}
	host, port, hasPort = strings.Cut(host, ":")
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !isName(host) {
		return target{}, badHost(s)
	}
	t := target{host: host}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if isNumber(last) {
		addr, ok := parseIPv4(host)
		if !ok {
			return target{}, badHost(s)
		}
		t = target{addr: addr, host: addr.String()}
	}
	return withPort(s, t, port, hasPort)
}

func withPort(s string, t target, port string, has bool) (target, error) { //nolint:revive // whether there was a colon is the grammar's, not a mode
	if !has {
		return t, nil
	}
	if port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "" {
		return target{}, badHost(s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return target{}, badHost(s)
	}
	t.port = uint16(n)
	return t, nil
}

func badHost(s string) error {
	return stoa.Errorf(stoa.Invalid, "%.100q is no host: write a name or an address, with or without a port", s)
}

func isName(s string) bool {
	if s == "" || len(s) > maxHost {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// isNumber tells whether a last label makes the whole an IPv4 address, for those
// who read it as inet_aton does.
func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func parseIPv4(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var all uint64
	for i, p := range parts {
		base := 10
		switch {
		case strings.HasPrefix(p, "0x"):
			p, base = p[2:], 16
		case len(p) > 1 && p[0] == '0':
			p, base = p[1:], 8
		}
		n, err := strconv.ParseUint(p, base, 32)
		if err != nil {
			return netip.Addr{}, false
		}
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		if n >= 1<<bits {
			return netip.Addr{}, false
		}
		all = all<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(all >> 24), byte(all >> 16), byte(all >> 8), byte(all)}), true
}

// prefixes with what they are for. Of IPv6 only 2000::/3 is given to anybody, so
// that all else is refused without a list: loopback, link-local, unique local,
// multicast, translation of IPv4 (64:ff9b::/96) and IPv4 within.
var special = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "an unspecified"},
	{netip.MustParsePrefix("10.0.0.0/8"), "a private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "a carrier's private"},
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local"}, // 169.254.169.254: metadata of clouds
	{netip.MustParsePrefix("172.16.0.0/12"), "a private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "a reserved"},
	{netip.MustParsePrefix("192.0.2.0/24"), "a documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "a relay's"},
	{netip.MustParsePrefix("192.168.0.0/16"), "a private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "a benchmark's"},
	{netip.MustParsePrefix("198.51.100.0/24"), "a documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "a documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved"},
	{netip.MustParsePrefix("2001::/23"), "a reserved"}, // Teredo holds IPv4 addresses
	{netip.MustParsePrefix("2001:db8::/32"), "a documentation"},
	{netip.MustParsePrefix("2002::/16"), "a relay's"}, // 6to4 holds IPv4 addresses
	{netip.MustParsePrefix("3fff::/20"), "a documentation"},
	{netip.MustParsePrefix("::1/128"), "a loopback"},
	{netip.MustParsePrefix("fc00::/7"), "a private"},
	{netip.MustParsePrefix("fe80::/10"), "a link-local"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast"},
}

var publicIPv6 = netip.MustParsePrefix("2000::/3")

// notPublic says what an address is that does not belong to the public network,
// such as "a private"; "" for one that does.
func notPublic(a netip.Addr) string {
	if a.Zone() != "" {
		return "a link-local"
	}
	a = a.Unmap()
	for _, s := range special {
		if s.prefix.Contains(a) {
			return s.what
		}
	}
	if !a.IsValid() || a.Is6() && !publicIPv6.Contains(a) {
		return "a reserved"
	}
	return ""
}
