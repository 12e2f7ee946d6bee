// Package torchscript reads the code of TorchScript archives: a small language
// that looks like Python, as torch.jit.save prints it. It gives classes,
// functions and statements as trees and runs nothing. Depth and size are
// bounded by the text.
package torchscript

import (
	"fmt"

	"github.com/stoa-project/stoa"
)

// File is the code of one file of an archive.
type File struct {
	Name    string
	Classes map[string]*Class
	Funcs   map[string]*Func
}

// Class is a module, a named tuple, an enumeration or another class.
type Class struct {
	Name    string
	Base    string           // Module, NamedTuple, Enum, Interface, or ""
	Fields  []string         // in the order in which they stand
	Types   map[string]Expr  // of fields
	Values  map[string]Expr  // of fields that are constants
	Methods map[string]*Func // by name
	Lines   map[string]int   // of fields
}

// Func is a function or a method.
type Func struct {
	Name   string
	Params []Param
	Body   []Stmt
	File   string
	Line   int
}

// Param is a parameter. Type and Default may be nil.
type Param struct {
	Name          string
	Type, Default Expr
}

// Stmt is *Assign, *If, *While, *For, *Return, *Eval, *With or *Jump.
type Stmt interface{ stmt() }

// Expr is *Name, *Attr, *Call, *Index, *Lit, *Tuple, *List, *Dict, *Unary,
// *Binary or *Choose.
type Expr interface{ expr() }

// The statements.
type (
	// Assign gives names, fields or elements the value, or, with several
	// targets or a comma, its parts.
	Assign struct {
		Targets []Expr
		Unpack  bool
		Value   Expr
		Line    int
	}
	// If chooses a branch.
	If struct {
		Cond       Expr
		Then, Else []Stmt
		Line       int
	}
	// While repeats while the condition holds.
	While struct {
		Cond Expr
		Body []Stmt
		Line int
	}
	// For takes each element.
	For struct {
		Target Expr
		Iter   Expr
		Body   []Stmt
		Line   int
	}
	// Return ends the function. Value may be nil.
	Return struct {
		Value Expr
		Line  int
	}
	// Eval is an expression whose value is not used.
	Eval struct {
		X    Expr
		Line int
	}
	// With is a block within a context.
	With struct {
		Body []Stmt
		Line int
	}
	// Jump is break or continue.
	Jump struct {
		Word string
		Line int
	}
)

// The expressions.
type (
	// Name is a name.
	Name struct {
		Name string
		Line int
	}
	// Attr is a field, written x.name.
	Attr struct {
		X    Expr
		Name string
		Line int
	}
	// Call is a call.
	Call struct {
		Fn    Expr
		Args  []Expr
		Names []string // those of the arguments that have one; "" for others
		Line  int
	}
	// Index is x[i], or a type with parameters.
	Index struct {
		X, At Expr
		Line  int
	}
	// Lit is nil, a bool, an int64, a float64 or a string.
	Lit struct{ Value any }
	// Tuple is a tuple.
	Tuple struct{ Items []Expr }
	// List is a list.
	List struct{ Items []Expr }
	// Dict is a dictionary.
	Dict struct{ Keys, Values []Expr }
	// Unary is not x or -x.
	Unary struct {
		Op string
		X  Expr
	}
	// Binary is an operation of two values.
	Binary struct {
		Op   string
		X, Y Expr
		Line int
	}
	// Choose is a if cond else b.
	Choose struct{ Cond, Then, Else Expr }
)

func (*Assign) stmt() {}
func (*If) stmt()     {}
func (*While) stmt()  {}
func (*For) stmt()    {}
func (*Return) stmt() {}
func (*Eval) stmt()   {}
func (*With) stmt()   {}
func (*Jump) stmt()   {}

func (*Name) expr()   {}
func (*Attr) expr()   {}
func (*Call) expr()   {}
func (*Index) expr()  {}
func (*Lit) expr()    {}
func (*Tuple) expr()  {}
func (*List) expr()   {}
func (*Dict) expr()   {}
func (*Unary) expr()  {}
func (*Binary) expr() {}
func (*Choose) expr() {}

const (
	// maxNesting bounds expressions and blocks within each other. Traces nest
	// calls some tens deep.
	maxNesting = 1000
	// maxText bounds the code of one file; that of the largest networks has a
	// few megabytes.
	maxText = 64 << 20
)

// Parse reads the code of a file; name is for messages.
func Parse(name string, text []byte) (*File, error) {
	if len(text) > maxText {
		return nil, stoa.Errorf(stoa.TooLarge, "%s: its code has over %d bytes", name, maxText)
	}
	l := &lexer{file: name, text: text, line: 1, indents: []int{0}}
	p := &parser{l: l, file: &File{Name: name, Classes: map[string]*Class{}, Funcs: map[string]*Func{}}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	for p.tok.kind != tokEnd {
		if err := p.top(); err != nil {
			return nil, err
		}
	}
	return p.file, nil
}

// Dotted gives a name with dots; "" where the expression is none.
func Dotted(e Expr) string {
	switch x := e.(type) {
	case *Name:
		return x.Name
	case *Attr:
		if left := Dotted(x.X); left != "" {
			return left + "." + x.Name
		}
	}
	return ""
}

func (l *lexer) errorf(format string, args ...any) error {
	return stoa.Errorf(stoa.Invalid, "%s:%d: %s", l.file, l.line, fmt.Sprintf(format, args...))
}
