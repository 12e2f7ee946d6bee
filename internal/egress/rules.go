package egress

import (
	"net/netip"
	"strings"

	"github.com/stoa-project/stoa"
)

// A rule is one entry of a list.
type rule struct {
	text string // as it was written
	target
	below bool // all names below host
	all   bool
}

type rules []rule

func parseRules(list []string) (rules, error) {
	rs := make(rules, 0, len(list))
	for _, s := range list {
		r, err := parseRule(strings.TrimSpace(s))
		if err != nil {
			return nil, err
		}
		rs = append(rs, r)
	}
	return rs, nil
}

func parseRule(s string) (rule, error) {
	r := rule{text: s}
	rest := s
	switch {
	case s == "*":
		r.all = true
		return r, nil
	case strings.HasPrefix(s, "*:"):
		r.all, rest = true, "x"+s[1:] // for its port
	case strings.HasPrefix(s, "*."):
		r.below, rest = true, s[2:]
	}
	// A bare IPv6 address can be told by its colons.
	if a, err := netip.ParseAddr(rest); err == nil && a.Is6() && !r.below {
		rest = "[" + rest + "]"
	}
	t, err := parseTarget(rest)
	if err != nil || r.below && t.addr.IsValid() {
		return rule{}, stoa.Errorf(stoa.Invalid, "%.100q is no host: write api.example.com, *.example.com, example.com:8443, 192.0.2.1 or [2001:db8::1]:443", s)
	}
	r.target = t
	return r, nil
}

// matches tells whether the rule is for a target, and whether it names it by its
// very name.
func (r rule) matches(t target) (ok, exact bool) {
	if r.port != t.port && (r.port != 0 || t.port != 80 && t.port != 443) {
		return false, false
	}
	switch {
	case r.all:
		return true, false
	case r.below:
		return !t.addr.IsValid() && strings.HasSuffix(t.host, "."+r.host), false
	}
	return r.host == t.host, true
}

// find gives the rule for a target: one that names it before one with a star.
func (rs rules) find(t target) (found rule, exact, ok bool) {
	for _, r := range rs {
		match, ex := r.matches(t)
		switch {
		case match && ex:
			return r, true, true
		case match && !ok:
			found, ok = r, true
		}
	}
	return found, false, ok
}

func (rs rules) String() string {
	if len(rs) == 0 {
		return "none"
	}
	var b strings.Builder
	for i, r := range rs {
		if i == 12 {
			b.WriteString(", …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(r.text)
	}
	return b.String()
}

// decision is what the lists say of a target.
type decision struct {
	rule  string
	named bool // the address may be a private one
}

// decide asks the lists, which know names; addresses are looked at when they are
// known.
func (x *Proxy) decide(t target) (decision, error) {
	r, exact, ok := x.allow.find(t)
	if !ok {
		return decision{}, stoa.Errorf(stoa.Forbidden, "%s is not allowed: allowed are %s", t, x.allow)
	}
	d := decision{rule: r.text, named: exact && x.policy.Named}
	if x.within != nil {
		w, exact, ok := x.within.find(t)
		if !ok {
			return decision{}, stoa.Errorf(stoa.Forbidden, "%s is not allowed by this server: it allows %s", t, x.within)
		}
		d = decision{rule: w.text, named: exact && x.policy.Named}
	}
	return d, nil
}

// choose gives those of a target's addresses that may be dialled.
func (x *Proxy) choose(t target, d decision, addrs []netip.Addr) ([]netip.Addr, error) {
	var good []netip.Addr
	bad := ""
	for _, a := range addrs {
		a = a.Unmap()
		what := notPublic(a)
		if what == "" && x.isOwn(a) {
			what = "this machine's own"
		}
		if what == "" || d.named && a.Zone() == "" {
			good = append(good, a)
		} else {
			bad = what + " address, " + a.String()
		}
	}
	if len(good) == 0 {
		return nil, stoa.Errorf(stoa.Forbidden, "%s is not allowed: it has %s, and the rule %s does not make an exception for it", t, bad, d.rule)
	}
	return good, nil
}

func (x *Proxy) isOwn(a netip.Addr) bool {
	list, err := x.policy.Local()
	if err != nil {
		return true // what cannot be told apart is not dialled
	}
	for _, l := range list {
		if p, err := netip.ParsePrefix(l.String()); err == nil && p.Addr().Unmap().WithZone("") == a {
			return true
		}
	}
	return false
}
