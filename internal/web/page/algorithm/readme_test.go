package algorithm

import (
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/catalog"
)

var version = &catalog.Version{Owner: "me", Name: "net", Number: stoa.Version{Major: 1}}

// Payloads are what READMEs have been used for.
var payloads = []string{
	`<script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `<svg onload=alert(1)>`, `<iframe src="https://evil.example"></iframe>`,
	`[x](javascript:alert(1))`, `[](http:)`, `[x](JaVaScRiPt:alert(1))`, `[x](java&#x0A;script:alert(1))`, "[x](java\tscript:alert(1))", `[x](data:text/html;base64,PHNjcmlwdD4=)`,
	`[x](vbscript:msgbox(1))`, `![x](javascript:alert(1))`, `![x](https://evil.example/pixel.png)`, `![x](//evil.example/p.png)`, `![x](data:image/svg+xml,<svg onload=alert(1)>)`,
	`<a href="https://ok.example" onclick="alert(1)">x</a>`, `<style>*{display:none}</style>`, `<p style="position:fixed">x</p>`, `<form action="/sign-out"><button>x</button></form>`,
	`<math><mtext></mtext><mglyph><svg><style><img src=x onerror=alert(1)></style></svg></mglyph></math>`, `<<script>script>alert(1)</script>`,
	"```\"><script>alert(1)</script>\n<script>alert(2)</script>\n```", "```html\n<script>alert(2)</script>\n```", `<base href="https://evil.example">`, `<meta http-equiv=refresh content="0;url=//evil">`,
	`<object data=x>`, `<embed src=x>`, `<link rel=stylesheet href=//evil>`, `<input autofocus onfocus=alert(1)>`, `<details open ontoggle=alert(1)>`, "<!-- --><script>alert(1)</script>",
	`<https://evil.example/?"onmouseover="alert(1)>`, `![x](/files/../sign-out)`, "![a\"onerror=\"alert(1)](samples/a.png)", `# <div id="main">x</div>`, `[x]: javascript:alert(1)` + "\n\n[x]",
}

// allowed is all that may stand in a tag. Where links lead is checked apart.
var allowed = regexp.MustCompile(`^</?(h[2-6]|p|br|hr|blockquote|ul|ol|li|pre|code|em|strong|del|table|thead|tbody|tr|th|td|span|div|a|img)( (class="[a-z0-9 ]+"|tabindex="0"|align="(left|right|center)"|start="\d+"|alt="[^"<>]*"|src="/files/[^"\\]*"|href="[^"<>]*"|rel="nofollow noreferrer"))*/?>$`)

var link = regexp.MustCompile(`href="([^"]*)"`)

// scheme gives what a browser takes for the scheme of an address, "" for none:
// it passes over blanks before it, and over tabs and line breaks within it.
func scheme(address string) string {
	address = strings.Map(func(r rune) rune {
		if r <= ' ' {
			return -1
		}
		return r
	}, html.UnescapeString(address))
	end := strings.IndexAny(address, ":/?#")
	if end < 0 || address[end] != ':' {
		return ""
	}
	return strings.ToLower(address[:end])
}

func check(t *testing.T, source string) {
	t.Helper()
	out, _, err := newPapers().render([]byte(source), version)
	if err != nil {
		t.Fatalf("%q: %v", source, err)
	}
	for _, tag := range regexp.MustCompile(`<[^>]*>?`).FindAllString(string(out), -1) {
		if !allowed.MatchString(tag) {
			t.Errorf("%q gives the tag %s", source, tag)
		}
		for _, m := range link.FindAllStringSubmatch(tag, -1) {
			switch scheme(m[1]) {
			case "", "http", "https", "mailto":
			default:
				t.Errorf("%q links to %s", source, m[1])
			}
		}
	}
	if len(out) > maxReadmeHTML {
		t.Errorf("%d bytes of HTML", len(out))
	}
}

// TestScheme holds the check of links to what browsers do.
func TestScheme(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a/b:c": "", "#x:y": "", "//h/x": "", "http:": "http", "HTTPS://x": "https", "mailto:a@b": "mailto",
		"javascript:1": "javascript", " java\tscript:1": "javascript", "java&#x0A;script&colon;1": "javascript", "data:text/html,x": "data",
	} {
		if got := scheme(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestReadmesRunNothing(t *testing.T) {
	for _, p := range payloads {
		check(t, p)
		check(t, "# Title\n\n- "+p+"\n\n> "+p+"\n\n| a |\n|---|\n| "+p+" |\n")
	}
}

func FuzzReadme(f *testing.F) {
	for _, p := range payloads {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) < 4096 {
			check(t, s)
		}
	})
}

func TestReadmeFitsItsPlace(t *testing.T) {
	out, cut, err := newPapers().render([]byte("# Net\n\n[lic](LICENCE.md) [up](../../x) [web](https://ok.example/a?b=c) [top](#x)\n\n![it](samples/a b.png) ![it](<samples/a b.png>)\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n```python\nprint(\"x\")  # y\n```\n\n~~old~~ <b>raw</b>\n"), version)
	if err != nil || cut {
		t.Fatal(err, cut)
	}
	for _, want := range []string{
		"<h2>Net</h2>", `href="/files/me/net/LICENCE.md?version=1.0.0"`, `href="/files/me/net/x?version=1.0.0"`, `href="https://ok.example/a?b=c" rel="nofollow noreferrer"`,
		`src="/files/me/net/samples/a%20b.png?version=1.0.0"`, `<td align="right">2</td>`, `<pre tabindex="0"><code>print(<span class="s">&#34;x&#34;</span>)  <span class="c"># y</span>`, "<del>old</del>", "raw",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the README lacks %s:\n%s", want, out)
		}
	}
}

func TestALongReadmeIsCut(t *testing.T) {
	paragraph := strings.Repeat("word ü ", 40) + "\n\n"
	for name, source := range map[string]string{
		"paragraphs": strings.Repeat(paragraph, 400), "one line": strings.Repeat("ü", 200_000), "no UTF-8": strings.Repeat("\xffa", 50_000),
		"grows": strings.Repeat("*a* ", 20_000), "tables": "|a|\n|-|\n" + strings.Repeat("|x|\n", 12_000), "quotes": strings.Repeat(">", 40_000),
	} {
		out, cut, err := newPapers().render([]byte(source), version)
		if err != nil || !cut || len(out) > maxReadmeHTML {
			t.Errorf("%s: %d bytes, cut %t, %v", name, len(out), cut, err)
		}
	}
}
