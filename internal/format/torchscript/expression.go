package torchscript

// levels are the operators of two values, loosest first.
var levels = [][]string{{"or"}, {"and"}, {"<", ">", "==", "!=", "<=", ">=", "is", "in"}, {"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "//", "%", "@"}}

// expression reads an expression.
func (p *parser) expression() (Expr, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, p.unexpected("lies too deep")
	}
	defer func() { p.depth-- }()
	x, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	if ok, err := p.accept("if"); err != nil || !ok {
		return x, err
	}
	cond, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	if err := p.expect("else"); err != nil {
		return nil, err
	}
	other, err := p.expression()
	return &Choose{cond, x, other}, err
}

func (p *parser) binary(level int) (Expr, error) {
	if level == len(levels) {
		return p.unary()
	}
	x, err := p.binary(level + 1)
	for err == nil {
		op := ""
		for _, o := range levels[level] {
			if p.is(o) {
				op = o
			}
		}
		if op == "" {
			return x, nil
		}
		line := p.tok.line
		if err := p.advance(); err != nil {
			return nil, err
		}
		if ok, err := p.accept("not"); err != nil {
			return nil, err
		} else if ok {
			op = "is not"
		}
		y, err2 := p.binary(level + 1)
		x, err = &Binary{op, x, y, line}, err2
	}
	return nil, err
}

func (p *parser) unary() (Expr, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, p.unexpected("lies too deep")
	}
	defer func() { p.depth-- }()
	for _, op := range []string{"not", "-", "~", "+"} {
		ok, err := p.accept(op)
		if err != nil {
			return nil, err
		}
		if ok {
			x, err := p.unary()
			if l, isLit := x.(*Lit); isLit && op == "-" {
				switch v := l.Value.(type) {
				case int64:
					return &Lit{-v}, err
				case float64:
					return &Lit{-v}, err
				}
			}
			return &Unary{op, x}, err
		}
	}
	x, err := p.atom()
	if err != nil {
		return nil, err
	}
	x, err = p.suffixes(x)
	if err != nil || !p.is("**") {
		return x, err
	}
	line := p.tok.line
	if err := p.advance(); err != nil {
		return nil, err
	}
	y, err := p.unary()
	return &Binary{"**", x, y, line}, err
}

// suffixes reads fields, calls and elements behind a value.
func (p *parser) suffixes(x Expr) (Expr, error) {
	for {
		line := p.tok.line
		switch {
		case p.is("."):
			if err := p.advance(); err != nil {
				return nil, err
			}
			name, err := p.name()
			if err != nil {
				return nil, err
			}
			x = &Attr{x, name, line}
		case p.is("("):
			c, err := p.call(x)
			if err != nil {
				return nil, err
			}
			x = c
		case p.is("["):
			if err := p.advance(); err != nil {
				return nil, err
			}
			items, comma, err := p.items("]")
			if err != nil {
				return nil, err
			}
			at := Expr(&Tuple{items})
			if len(items) == 1 && !comma {
				at = items[0]
			}
			x = &Index{x, at, line}
		default:
			return x, nil
		}
	}
}

func (p *parser) call(fn Expr) (Expr, error) {
	c := &Call{Fn: fn, Line: p.tok.line}
	if err := p.advance(); err != nil {
		return nil, err
	}
	for !p.is(")") {
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		name := ""
		if n, ok := x.(*Name); ok && p.is("=") {
			name = n.Name
			if err := p.advance(); err != nil {
				return nil, err
			}
			if x, err = p.expression(); err != nil {
				return nil, err
			}
		}
		c.Args, c.Names = append(c.Args, x), append(c.Names, name)
		if ok, err := p.accept(","); err != nil {
			return nil, err
		} else if !ok {
			break
		}
	}
	return c, p.expect(")")
}

// items reads values up to a closing bracket, and tells whether a comma ended
// them or lay between them.
func (p *parser) items(end string) (out []Expr, comma bool, err error) {
	for !p.is(end) {
		x, err := p.expression()
		if err != nil {
			return nil, false, err
		}
		out = append(out, x)
		ok, err := p.accept(",")
		if err != nil {
			return nil, false, err
		}
		if !ok {
			break
		}
		comma = true
	}
	return out, comma, p.expect(end)
}

func (p *parser) atom() (Expr, error) {
	t := p.tok
	switch t.kind {
	case tokName:
		if err := p.advance(); err != nil {
			return nil, err
		}
		switch t.text {
		case "None":
			return &Lit{nil}, nil
		case "True":
			return &Lit{true}, nil
		case "False":
			return &Lit{false}, nil
		}
		return &Name{t.text, t.line}, nil
	case tokNumber:
		if n, ok := integer(t.text); ok {
			return &Lit{n}, p.advance()
		}
		if f, ok := floating(t.text); ok {
			return &Lit{f}, p.advance()
		}
		return nil, p.unexpected("is no number")
	case tokString:
		return &Lit{t.text}, p.advance()
	case tokOp:
		return p.bracketed()
	default:
	}
	return nil, p.unexpected("where a value should stand")
}

// bracketed reads a tuple, a value in brackets, a list or a dictionary.
func (p *parser) bracketed() (Expr, error) {
	switch {
	case p.is("("):
		if err := p.advance(); err != nil {
			return nil, err
		}
		items, comma, err := p.items(")")
		if err == nil && len(items) == 1 && !comma {
			return items[0], nil
		}
		return &Tuple{items}, err
	case p.is("["):
		if err := p.advance(); err != nil {
			return nil, err
		}
		items, _, err := p.items("]")
		return &List{items}, err
	case p.is("{"):
		return p.dict()
	}
	return nil, p.unexpected("where a value should stand")
}

func (p *parser) dict() (Expr, error) {
	d := &Dict{}
	if err := p.advance(); err != nil {
		return nil, err
	}
	for !p.is("}") {
		k, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.expect(":"); err != nil {
			return nil, err
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		d.Keys, d.Values = append(d.Keys, k), append(d.Values, v)
		if ok, err := p.accept(","); err != nil {
			return nil, err
		} else if !ok {
			break
		}
	}
	return d, p.expect("}")
}
