package algorithm

import (
	"html/template"
	"strings"

	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/formatters/html"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"
)

// plain is a style without colours: the style sheet has them.
var plain = chroma.MustNewStyle("plain", chroma.StyleEntries{})

// colour gives code as HTML with a class for each kind of token; the style sheet
// has their colours. Code in a language that nobody knows stays as it is.
func colour(code, language string) (string, error) {
	lexer := lexers()[strings.ToLower(language)]
	if lexer == nil {
		return template.HTMLEscapeString(code), nil
	}
	tokens, err := chroma.Coalesce(lexer).Tokenise(nil, code)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = html.New(html.WithClasses(true), html.PreventSurroundingPre(true)).Format(&b, plain, tokens)
	return b.String(), err
}

// coloured shows the code of READMEs.
type coloured struct{}

// RegisterFuncs says which nodes it shows; see renderer.NodeRenderer.
func (coloured) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	show := func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			return ast.WalkSkipChildren, writeCode(w, source, n)
		}
		return ast.WalkContinue, nil
	}
	r.Register(ast.KindFencedCodeBlock, show)
	r.Register(ast.KindCodeBlock, show)
}

// writeCode writes a block that can be scrolled by key.
func writeCode(w util.BufWriter, source []byte, n ast.Node) error {
	language := "" // of a block that is only indented
	if fenced, ok := n.(*ast.FencedCodeBlock); ok {
		language = string(fenced.Language(source))
	}
	var code strings.Builder
	for i := range n.Lines().Len() {
		at := n.Lines().At(i)
		code.Write(at.Value(source))
	}
	html, err := colour(code.String(), language)
	if err != nil {
		return err
	}
	_, err = w.WriteString(`<pre tabindex="0"><code>` + html + "</code></pre>\n")
	return err
}
