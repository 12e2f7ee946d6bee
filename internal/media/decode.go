package media

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/format/npy"
	"github.com/stoa-project/stoa/internal/tensor"
)

// Item is one decoded value: the tensors in the order of Graph.Inputs, and what
// Encode needs of the value.
type Item struct {
	Inputs  []tensor.Tensor
	picture *bitmap // where an output is lab
	npy     bool    // the value was npy bytes
}

// Decode turns a call's value into tensors. Where the network has one input,
// the value is that input; where it has several, the value is a JSON object
// with a member for each. A picture may come as raw bytes, as a JSON or plain
// text of base64 or a data: URL; an array as nested JSON, or npy bytes. An
// array given to a picture's input is taken as what the network gets, unless
// an output needs the picture.
//
// Tensors may view the value's Data. Errors are of type "InputError".
func (a *Adapter) Decode(v stoa.Value) (Item, error) {
	it := Item{Inputs: make([]tensor.Tensor, len(a.inputs))}
	if len(a.inputs) == 1 {
		return it, a.decodeInput(&it, 0, v)
	}
	if v.Type != stoa.JSON {
		return it, inputErrorf(stoa.Invalid, "the network has several inputs: give a JSON object with %s", a.inputNames())
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(v.Data, &members); err != nil || members == nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return it, inputErrorf(stoa.Invalid, "the input is not JSON: %s (byte %d)", syntax, syntax.Offset)
		}
		return it, inputErrorf(stoa.Invalid, "the network has several inputs: give a JSON object with %s, not %s", a.inputNames(), jsonKind(v.Data))
	}
	for i, p := range a.inputs {
		raw, ok := members[p.spec.Name]
		if !ok {
			return it, inputErrorf(stoa.Invalid, "input %q is missing: give a JSON object with %s", p.spec.Name, a.inputNames())
		}
		delete(members, p.spec.Name)
		if err := a.decodeInput(&it, i, stoa.Value{Type: stoa.JSON, Data: raw}); err != nil {
			return it, err
		}
	}
	for name := range members {
		return it, inputErrorf(stoa.Invalid, "input %.100q is not known: the network has %s", name, a.inputNames())
	}
	return it, nil
}

func (a *Adapter) inputNames() string {
	names := make([]string, len(a.inputs))
	for i, p := range a.inputs {
		names[i] = fmt.Sprintf("%q", p.spec.Name)
	}
	return strings.Join(names, ", ")
}

// decodeInput makes input i, and says its name in errors.
func (a *Adapter) decodeInput(it *Item, i int, v stoa.Value) error {
	p := a.inputs[i]
	t, err := a.input(it, p, v)
	if err != nil {
		e := stoa.AsError(err)
		named := *e
		named.Type = "InputError"
		named.Msg = fmt.Sprintf("input %q %s", p.spec.Name, e.Msg)
		return &named
	}
	it.Inputs[i] = t
	return nil
}

// input makes a tensor of a value. Its errors go on after the input's name.
func (a *Adapter) input(it *Item, p inputPlan, v stoa.Value) (tensor.Tensor, error) {
	isNpy := v.Type == stoa.Binary && npy.IsNpy(v.Data)
	isArray := isNpy || v.Type == stoa.JSON && firstByte(v.Data) == '['
	if p.picture == nil || isArray && !a.keepPicture {
		it.npy = it.npy || isNpy
		return a.array(p.spec, v)
	}
	if isArray {
		return tensor.Tensor{}, inputErrorf(stoa.Invalid, "wants a picture, since the answer is made of it: got an array")
	}
	data, err := pictureBytes(v)
	if err != nil {
		return tensor.Tensor{}, err
	}
	channels := 3
	if p.picture.channels == 1 && p.picture.lightness == nil && !a.keepPicture {
		channels = 1
	}
	h := hold{budget: a.limits.Memory}
	defer h.release()
	m, err := decodePicture(data, channels, a.limits.Pixels, &h)
	if err != nil {
		return tensor.Tensor{}, err
	}
	if a.keepPicture {
		it.picture = m
	}
	return p.picture.tensor(m, a.limits.Elements)
}

// array reads nested JSON or npy.
func (a *Adapter) array(spec tensor.Spec, v stoa.Value) (tensor.Tensor, error) {
	var t tensor.Tensor
	var err error
	switch {
	case v.Type == stoa.Binary && npy.IsNpy(v.Data):
		if t, err = npy.Parse(v.Data); err == nil && int64(len(t.Data)) > a.limits.Elements*max(t.DType.Size(), 1) {
			err = inputErrorf(stoa.TooLarge, "has more than %d elements", a.limits.Elements)
		}
	case v.Type == stoa.JSON, v.Type == stoa.Text:
		if c := firstByte(v.Data); c == '{' || c == '"' || c == 0 {
			return t, inputErrorf(stoa.Invalid, "wants %s as nested arrays of numbers or npy bytes, got %s", wanted(spec), jsonKind(v.Data))
		}
		t, err = tensor.ParseJSON(v.Data, spec.DType, a.limits.Elements)
	default:
		return t, inputErrorf(stoa.Invalid, "wants %s as nested arrays of numbers or npy bytes, got %s", wanted(spec), bytesKind(v))
	}
	if err != nil {
		e := *stoa.AsError(err)
		e.Msg = "cannot be read: " + e.Msg
		return t, &e
	}
	return conform(t, spec)
}

func firstByte(data []byte) byte {
	data = bytes.TrimLeft(data, " \t\r\n")
	if len(data) == 0 {
		return 0
	}
	return data[0]
}

// jsonKind names what JSON holds, for errors.
func jsonKind(data []byte) string {
	switch c := firstByte(data); c {
	case 0:
		return "nothing"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a text"
	case 't', 'f':
		return "a truth value"
	case 'n':
		return "null"
	}
	return "a number"
}

func bytesKind(v stoa.Value) string {
	if v.Type == stoa.Void || len(v.Data) == 0 {
		return "nothing"
	}
	if f := formatOf(v.Data); f != nil {
		return "a " + f.name
	}
	return fmt.Sprintf("%d bytes that are no npy file", len(v.Data))
}

// pictureBytes gives the file of a picture.
func pictureBytes(v stoa.Value) ([]byte, error) {
	switch v.Type {
	case stoa.Binary:
		return v.Data, nil
	case stoa.Text:
		return pictureText(v.Data)
	case stoa.JSON:
		if c := firstByte(v.Data); c != '"' {
			return nil, inputErrorf(stoa.Invalid, "wants a picture (its bytes, or base64 or a data: URL as a text), got %s", jsonKind(v.Data))
		}
		text := bytes.Trim(v.Data, " \t\r\n")
		if len(text) >= 2 && text[len(text)-1] == '"' && bytes.IndexByte(text, '\\') < 0 {
			return pictureText(text[1 : len(text)-1]) // nothing to unescape
		}
		var s string
		if err := json.Unmarshal(v.Data, &s); err != nil {
			return nil, inputErrorf(stoa.Invalid, "is not JSON: %s", err)
		}
		return pictureText([]byte(s))
	case stoa.Void:
	}
	return nil, inputErrorf(stoa.Invalid, "wants a picture, got nothing")
}

// pictureText reads base64 or a data: URL.
func pictureText(text []byte) ([]byte, error) {
	text = bytes.TrimSpace(text)
	head := strings.ToLower(string(text[:min(len(text), 8)]))
	switch {
	case len(text) == 0:
		return nil, inputErrorf(stoa.Invalid, "wants a picture, got an empty text")
	case strings.HasPrefix(head, "http://"), strings.HasPrefix(head, "https://"):
		return nil, inputErrorf(stoa.Invalid, "is a web address: Stoa does not fetch pictures; send the bytes themselves, or base64")
	case strings.HasPrefix(head, "data:"):
		comma := bytes.IndexByte(text[:min(len(text), 1024)], ',')
		if comma < 0 || !bytes.HasSuffix(bytes.ToLower(bytes.TrimSpace(text[:comma])), []byte(";base64")) {
			return nil, inputErrorf(stoa.Invalid, "is a data: URL that is not base64: write data:image/png;base64,…")
		}
		text = text[comma+1:]
	}
	return decodeBase64(text)
}

// decodeBase64 reads base64 as people send it: with line breaks, in the
// alphabet for URLs, without padding.
func decodeBase64(text []byte) ([]byte, error) {
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text))+3)
	if n, err := base64.StdEncoding.Decode(out, text); err == nil {
		return out[:n], nil
	}
	clean := make([]byte, 0, len(text))
	for i, c := range text {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '-':
			c = '+'
		case '_':
			c = '/'
		case '=':
			if strings.Trim(string(text[i:]), "= \t\r\n") == "" {
				return rawBase64(clean)
			}
		}
		clean = append(clean, c)
	}
	return rawBase64(clean)
}

func rawBase64(text []byte) ([]byte, error) {
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	n, err := base64.RawStdEncoding.Decode(out, text)
	if err != nil {
		var corrupt base64.CorruptInputError
		if errors.As(err, &corrupt) && int(corrupt) < len(text) {
			return nil, inputErrorf(stoa.Invalid, "wants a picture: the text is neither base64 nor a data: URL (%q at character %d)", text[corrupt], int64(corrupt)+1)
		}
		return nil, inputErrorf(stoa.Invalid, "wants a picture: the text is neither base64 nor a data: URL")
	}
	return out[:n], nil
}
