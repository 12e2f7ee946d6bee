package torchscript

import (
	"math"
	"strconv"
	"strings"
)

type parser struct {
	l     *lexer
	tok   token
	depth int
	file  *File
}

func (p *parser) advance() error {
	t, err := p.l.next()
	p.tok = t
	return err
}

func (p *parser) is(text string) bool {
	return (p.tok.kind == tokOp || p.tok.kind == tokName) && p.tok.text == text
}

// accept takes the token if it is the given one.
func (p *parser) accept(text string) (bool, error) {
	if !p.is(text) {
		return false, nil
	}
	return true, p.advance()
}

func (p *parser) expect(text string) error {
	if !p.is(text) {
		return p.unexpected("where " + strconv.Quote(text) + " should stand")
	}
	return p.advance()
}

func (p *parser) unexpected(where string) error {
	what := strconv.Quote(p.tok.text)
	switch p.tok.kind {
	case tokEnd:
		what = "the end"
	case tokNewline:
		what = "the end of the line"
	case tokIndent, tokDedent:
		what = "an indentation"
	default:
	}
	p.l.line = p.tok.line
	return p.l.errorf("%s %s", what, where)
}

func (p *parser) name() (string, error) {
	if p.tok.kind != tokName {
		return "", p.unexpected("where a name should stand")
	}
	s := p.tok.text
	return s, p.advance()
}

func (p *parser) endLine() error {
	if p.tok.kind == tokOp && p.tok.text == ";" || p.tok.kind == tokNewline {
		return p.advance()
	}
	if p.tok.kind == tokEnd {
		return nil
	}
	return p.unexpected("where the line should end")
}

// top reads a class, a function, or a line of old files that says nothing.
func (p *parser) top() error {
	switch {
	case p.is("class"):
		return p.class()
	case p.is("def"):
		f, err := p.function()
		if err == nil {
			p.file.Funcs[f.Name] = f
		}
		return err
	}
	if p.is("import") || p.is("from") {
		for p.tok.kind != tokNewline && p.tok.kind != tokEnd {
			if err := p.advance(); err != nil {
				return err
			}
		}
		return p.endLine()
	}
	_, err := p.statement() // op_version_set = 1
	return err
}

func (p *parser) class() error {
	if err := p.advance(); err != nil {
		return err
	}
	name, err := p.name()
	if err != nil {
		return err
	}
	c := &Class{Name: name, Types: map[string]Expr{}, Values: map[string]Expr{}, Methods: map[string]*Func{}, Lines: map[string]int{}}
	if ok, err := p.accept("("); err != nil {
		return err
	} else if ok {
		if !p.is(")") {
			if c.Base, err = p.name(); err != nil {
				return err
			}
		}
		if err := p.expect(")"); err != nil {
			return err
		}
	}
	p.file.Classes[name] = c
	return p.block(func() error { return p.member(c) })
}

// block reads a colon and what is indented below it.
func (p *parser) block(line func() error) error {
	if err := p.expect(":"); err != nil {
		return err
	}
	if p.tok.kind != tokNewline {
		return line()
	}
	if err := p.advance(); err != nil {
		return err
	}
	if p.tok.kind != tokIndent {
		return nil // a class without members
	}
	if err := p.advance(); err != nil {
		return err
	}
	if p.depth++; p.depth > maxNesting {
		return p.unexpected("lies too deep")
	}
	defer func() { p.depth-- }()
	for p.tok.kind != tokDedent && p.tok.kind != tokEnd {
		if err := line(); err != nil {
			return err
		}
	}
	if p.tok.kind == tokEnd {
		return nil
	}
	return p.advance()
}

// member reads a method or a field.
func (p *parser) member(c *Class) error {
	if p.is("def") {
		f, err := p.function()
		if err == nil {
			c.Methods[f.Name] = f
		}
		return err
	}
	if ok, err := p.accept("pass"); ok || err != nil {
		if err != nil {
			return err
		}
		return p.endLine()
	}
	line := p.tok.line
	x, err := p.expression()
	if err != nil {
		return err
	}
	name := Dotted(x)
	if i, ok := x.(*Index); ok && Dotted(i.X) == "__annotations__" {
		if s, ok := i.At.(*Lit); ok {
			name, _ = s.Value.(string)
		}
		if err := p.expect("="); err != nil {
			return err
		}
		c.Types[name], err = p.expression()
	} else if ok, err2 := p.accept(":"); err2 != nil {
		return err2
	} else if ok {
		c.Types[name], err = p.expression()
	}
	if err != nil {
		return err
	}
	if ok, err := p.accept("="); err != nil {
		return err
	} else if ok {
		if c.Values[name], err = p.expression(); err != nil {
			return err
		}
	}
	if !strings.HasPrefix(name, "__") {
		c.Fields = append(c.Fields, name)
	}
	c.Lines[name] = line
	return p.endLine()
}

func (p *parser) function() (*Func, error) {
	f := &Func{File: p.l.file, Line: p.tok.line}
	if err := p.advance(); err != nil {
		return nil, err
	}
	var err error
	if f.Name, err = p.name(); err != nil {
		return nil, err
	}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	for !p.is(")") {
		a, err := p.param()
		if err != nil {
			return nil, err
		}
		if a.Name != "*" {
			f.Params = append(f.Params, a)
		}
		if ok, err := p.accept(","); err != nil {
			return nil, err
		} else if !ok {
			break
		}
	}
	if err := p.expect(")"); err != nil {
		return nil, err
	}
	if ok, err := p.accept("->"); err != nil {
		return nil, err
	} else if ok {
		if _, err := p.expression(); err != nil {
			return nil, err
		}
	}
	f.Body, err = p.statements()
	return f, err
}

func (p *parser) param() (a Param, err error) {
	if ok, err := p.accept("*"); ok || err != nil {
		return Param{Name: "*"}, err
	}
	if a.Name, err = p.name(); err != nil {
		return a, err
	}
	if ok, err := p.accept(":"); err != nil {
		return a, err
	} else if ok {
		if a.Type, err = p.expression(); err != nil {
			return a, err
		}
	}
	if ok, err := p.accept("="); err != nil {
		return a, err
	} else if !ok {
		return a, nil
	}
	a.Default, err = p.expression()
	return a, err
}

func (p *parser) statements() ([]Stmt, error) {
	var out []Stmt
	err := p.block(func() error {
		s, err := p.statement()
		if s != nil {
			out = append(out, s)
		}
		return err
	})
	return out, err
}

// statement reads one statement; nil for pass.
func (p *parser) statement() (Stmt, error) {
	line := p.tok.line
	if p.tok.kind == tokName {
		switch word := p.tok.text; word {
		case "pass":
			if err := p.advance(); err != nil {
				return nil, err
			}
			return nil, p.endLine()
		case "if":
			return p.branch()
		case "while":
			if err := p.advance(); err != nil {
				return nil, err
			}
			cond, err := p.expression()
			if err != nil {
				return nil, err
			}
			body, err := p.statements()
			return &While{cond, body, line}, err
		case "for":
			return p.loop()
		case "with":
			return p.with()
		case "break", "continue":
			if err := p.advance(); err != nil {
				return nil, err
			}
			return &Jump{word, line}, p.endLine()
		case "return":
			if err := p.advance(); err != nil {
				return nil, err
			}
			if p.tok.kind == tokNewline || p.tok.kind == tokEnd {
				return &Return{nil, line}, p.endLine()
			}
			v, _, err := p.list()
			if err != nil {
				return nil, err
			}
			return &Return{v, line}, p.endLine()
		}
	}
	return p.assignment(line)
}

func (p *parser) assignment(line int) (Stmt, error) {
	left, comma, err := p.list()
	if err != nil {
		return nil, err
	}
	if ok, err := p.accept(":"); err != nil {
		return nil, err
	} else if ok { // x : T = value
		if _, err := p.expression(); err != nil {
			return nil, err
		}
	}
	if ok, err := p.accept("="); err != nil {
		return nil, err
	} else if !ok {
		return &Eval{left, line}, p.endLine()
	}
	right, _, err := p.list()
	if err != nil {
		return nil, err
	}
	a := &Assign{Targets: []Expr{left}, Unpack: comma, Value: right, Line: line}
	if t, ok := left.(*Tuple); ok && comma {
		a.Targets = t.Items
	}
	return a, p.endLine()
}

// list reads an expression, or several with commas between them, as a tuple. It
// tells whether there was a comma.
func (p *parser) list() (Expr, bool, error) {
	first, err := p.expression()
	if err != nil || !p.is(",") {
		return first, false, err
	}
	t := &Tuple{Items: []Expr{first}}
	for p.is(",") {
		if err := p.advance(); err != nil {
			return nil, true, err
		}
		if p.is("=") || p.tok.kind == tokNewline || p.tok.kind == tokEnd {
			break
		}
		x, err := p.expression()
		if err != nil {
			return nil, true, err
		}
		t.Items = append(t.Items, x)
	}
	return t, true, nil
}

func (p *parser) branch() (Stmt, error) {
	s := &If{Line: p.tok.line}
	err := p.advance()
	if err != nil {
		return nil, err
	}
	if p.depth++; p.depth > maxNesting {
		return nil, p.unexpected("lies too deep")
	}
	defer func() { p.depth-- }()
	if s.Cond, err = p.expression(); err != nil {
		return nil, err
	}
	if s.Then, err = p.statements(); err != nil {
		return nil, err
	}
	if p.is("elif") {
		other, err := p.branch()
		s.Else = []Stmt{other}
		return s, err
	}
	if ok, err := p.accept("else"); err != nil || !ok {
		return s, err
	}
	s.Else, err = p.statements()
	return s, err
}

func (p *parser) loop() (Stmt, error) {
	s := &For{Line: p.tok.line}
	err := p.advance()
	if err != nil {
		return nil, err
	}
	name := p.tok
	if _, err := p.name(); err != nil {
		return nil, err
	}
	s.Target = &Name{name.text, name.line}
	if p.is(",") {
		t := &Tuple{Items: []Expr{s.Target}}
		for p.is(",") {
			if err := p.advance(); err != nil {
				return nil, err
			}
			if p.is("in") {
				break
			}
			n, err := p.name()
			if err != nil {
				return nil, err
			}
			t.Items = append(t.Items, &Name{n, name.line})
		}
		s.Target = t
	}
	if err := p.expect("in"); err != nil {
		return nil, err
	}
	if s.Iter, err = p.expression(); err != nil {
		return nil, err
	}
	s.Body, err = p.statements()
	return s, err
}

// with reads a block within a context, which changes nothing that a network
// computes: profiling, or gradients.
func (p *parser) with() (Stmt, error) {
	s := &With{Line: p.tok.line}
	for !p.is(":") {
		if p.tok.kind == tokNewline || p.tok.kind == tokEnd {
			return nil, p.unexpected("where \":\" should stand")
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	var err error
	s.Body, err = p.statements()
	return s, err
}

// integer and floating read numbers as the language prints them.
func integer(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 0, 64)
	return n, err == nil
}

func floating(s string) (float64, bool) {
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil || math.IsInf(f, 0)
}
