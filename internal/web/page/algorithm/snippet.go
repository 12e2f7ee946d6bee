package algorithm

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"strconv"
	"strings"
	text "text/template"

	"github.com/stoa-project/stoa"
)

// snippet is code that makes the call of the console, in one language and with
// nothing but its standard library.
type snippet struct {
	ID   string
	Name string
	Code template.HTML // coloured
}

// language is how a call is written in one language.
type language struct {
	id, name string
	lexer    string
	code     *text.Template
}

//go:embed snippet
var snippetFiles embed.FS

func readLanguages() ([]language, error) {
	all := []language{
		{id: "curl", name: "curl", lexer: "bash"},
		{id: "python", name: "Python", lexer: "python"},
		{id: "javascript", name: "JavaScript", lexer: "javascript"},
		{id: "go", name: "Go", lexer: "go"},
	}
	sources := []string{"curl.sh", "python.py", "javascript.mjs", "go.go.txt"}
	for i := range all {
		b, err := snippetFiles.ReadFile("snippet/" + sources[i])
		if err == nil {
			all[i].code, err = text.New(all[i].id).Funcs(text.FuncMap{
				"quote": shellQuote, "quotego": strconv.Quote, "json": jsonString,
			}).Parse(string(b))
		}
		if err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "the code of %s cannot be read: %v", all[i].name, err)
		}
	}
	return all, nil
}

// request is the call that code makes.
type request struct {
	URL     string
	Key     bool // it needs one
	Type    string
	File    string // in the current folder; "" where Text is the body
	FileURL string // where the file is to be had; "" for the visitor's own
	Text    string
	Save    string // file for a picture that comes back; "" for an answer to print
}

// write writes the call in each language.
func (p *pages) write(x *view, base string) ([]snippet, error) {
	body := x.Console.body()
	r := request{URL: base + "/v1/algo/" + x.FullName, Key: !x.Keyless, Type: body.Type, Text: body.Text}
	if !x.Console.Asked {
		r.URL = base + x.Console.Call
	}
	if body.Text == "" {
		r.File = body.Name
	}
	if body.URL != "" && x.Public {
		r.FileURL = base + strings.SplitN(body.URL, "?", 2)[0]
	}
	if strings.HasPrefix(r.Type, "image/") && r.File != "" {
		r.Type = "application/octet-stream"
	}
	if x.Console.Picture {
		r.URL, r.Save = r.URL+"?output=raw", "answer.jpg"
		if !x.Console.Jpeg {
			r.Save = "answer.png"
		}
	}
	var out []snippet
	for _, l := range p.snippets {
		var b bytes.Buffer
		if err := l.code.Execute(&b, r); err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "the code cannot be written in %s", l.name)
		}
		code, err := colour(b.String(), l.lexer)
		if err != nil {
			return nil, stoa.Wrap(stoa.Internal, err, "the code cannot be shown in %s", l.name)
		}
		out = append(out, snippet{ID: l.id, Name: l.name, Code: template.HTML(code)}) //nolint:gosec // the formatter escapes it
	}
	return out, nil
}

// shellQuote writes s so that a shell takes it as it is.
func shellQuote(s string) string {
	plain := strings.IndexFunc(s, func(r rune) bool {
		return ('a' > r || r > 'z') && ('A' > r || r > 'Z') && ('0' > r || r > '9') && !strings.ContainsRune("._-/:=%", r)
	}) < 0
	if plain && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// jsonString writes s as a string of JSON, which JavaScript and Python read too.
func jsonString(s string) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return strings.TrimSuffix(b.String(), "\n"), err
}
