package build

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/stoa-project/stoa"
)

// hostsTime bounds a recipe's Hosts: it reads a client's configuration.
const hostsTime = 20 * time.Second

// hosts gives the hosts that a step may reach: the operator's, or those that the
// language's own client is configured to use on this machine. The command runs in
// a folder of ours, since some clients take settings from where they are started.
func (l *Local) hosts(ctx context.Context, r Recipe, env []string, dir string) ([]string, error) {
	if l.cfg.Hosts != nil || r.Hosts == "" {
		return l.cfg.Hosts, nil
	}
	ctx, cancel := context.WithTimeout(ctx, hostsTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-e", "-c", r.Hosts)
	cmd.Dir, cmd.Env = dir, env
	cmd.WaitDelay = time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, stoa.Wrap(stoa.Unavailable, err, "this server cannot tell which hosts %s fetches from: %.300s", r.Language, strings.TrimSpace(said.String()))
	}
	return parseHosts(string(out)), nil
}

// parseHosts reads what a client's configuration names: URLs, hosts, and hosts
// with ports, between spaces, commas, bars and quotes. Words that are none are
// passed over, as are those by which Go says that there is no host.
func parseHosts(s string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\r\n,|;'\"", r) }) {
		if h := hostOf(w); h != "" && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

func hostOf(word string) string {
	if word == "direct" || word == "off" || word == "none" {
		return ""
	}
	if !strings.Contains(word, "://") {
		if strings.ContainsAny(word, "/=@\\*") || strings.HasPrefix(word, "-") || strings.HasPrefix(word, ".") {
			return ""
		}
		return strings.ToLower(word)
	}
	u, err := url.Parse(word)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		switch u.Scheme {
		case "https":
			port = "443"
		case "http":
			port = "80"
		default: // file, git+ssh: nothing that the proxy carries
			return ""
		}
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// environment is what a recipe's Env comes to: a name alone is taken from the
// server's own environment, if it is there.
func (l *Local) environment(r Recipe) []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "LANG=C.UTF-8"}
	for _, e := range r.Env {
		if strings.Contains(e, "=") {
			env = setEnv(env, e)
			continue
		}
		for _, h := range l.cfg.Env {
			if strings.HasPrefix(h, e+"=") {
				env = setEnv(env, h)
			}
		}
	}
	return env
}

// setEnv sets a variable, NAME=VALUE, in place of an earlier one.
func setEnv(env []string, e string) []string {
	name, _, _ := strings.Cut(e, "=")
	env = slices.DeleteFunc(env, func(x string) bool { return strings.HasPrefix(x, name+"=") })
	return append(env, e)
}
