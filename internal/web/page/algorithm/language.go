package algorithm

import (
	"strings"
	"sync"

	"github.com/alecthomas/chroma/v2"
)

// lexers know the languages of the code that pages show, and those that READMEs
// mostly have: enough to tell comments, texts, numbers and keywords apart. The
// library's own lexers and styles would cost every process of this program, its
// workers too, 4.6 MB and 7 ms at its start.
var lexers = sync.OnceValue(func() map[string]chroma.Lexer {
	const (
		double = `"(\\.|[^"\\\n])*"`
		single = `'(\\.|[^'\\\n])*'`
		tick   = "`[^`]*`"
		triple = `"""[\s\S]*?"""`
	)
	shell := lexer("bash", `#.*`, []string{`"(\\.|[^"\\])*"`, `'[^']*'`}, "if then else fi for in do done while case esac function export echo cd")
	python := lexer("python", `#.*`, []string{triple, double, single},
		"and as assert async await break class continue def del elif else except finally for from global if import in is lambda not or pass raise return try while with yield None True False")
	js := lexer("javascript", `//.*|/\*[\s\S]*?\*/`, []string{double, single, tick},
		"async await break case catch class const continue default delete do else export extends finally for from function if import in instanceof let new null of return switch this throw true false try typeof var void while yield")
	golang := lexer("go", `//.*|/\*[\s\S]*?\*/`, []string{double, tick, single},
		"break case chan const continue default defer else fallthrough for func go goto if import interface map package range return select struct switch type var nil true false")
	data := lexer("json", `#.*`, []string{double, single}, "true false null")
	out := map[string]chroma.Lexer{}
	for names, l := range map[string]chroma.Lexer{
		"bash sh shell console": shell, "python py python3": python, "javascript js mjs typescript ts": js, "go golang": golang, "json yaml yml toml": data,
	} {
		for n := range strings.FieldsSeq(names) {
			out[n] = l
		}
	}
	return out
})

// lexer makes one of the pattern of comments, those of texts, and the keywords.
func lexer(name, comment string, texts []string, keywords string) chroma.Lexer {
	return chroma.MustNewLexer(&chroma.Config{Name: name}, func() chroma.Rules {
		rules := []chroma.Rule{{Pattern: `(?<![\w$"'])(` + comment + `)`, Type: chroma.Comment}}
		for _, t := range texts {
			rules = append(rules, chroma.Rule{Pattern: t, Type: chroma.String})
		}
		return chroma.Rules{"root": append(rules,
			chroma.Rule{Pattern: `\b(` + strings.Join(strings.Fields(keywords), "|") + `)\b`, Type: chroma.Keyword},
			chroma.Rule{Pattern: `(?<![\w./:@-])\d[\w.]*`, Type: chroma.Number},
			chroma.Rule{Pattern: `[\w$]+|\s+`, Type: chroma.Text},
			chroma.Rule{Pattern: `.`, Type: chroma.Text},
		)}
	})
}
