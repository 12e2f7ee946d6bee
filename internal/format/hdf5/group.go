package hdf5

import (
	"github.com/stoa-project/stoa"
)

// link is a member of a group: the address of its header, or what kind of link
// it is that is not followed.
type link struct {
	addr uint64
	kind string
}

// links gives the members of a group by name.
func (o *Object) links() (map[string]link, error) {
	f := o.file
	if l := f.listings[o.addr]; l != nil {
		return l, nil
	}
	out := map[string]link{}
	err := f.oldLinks(o.head, out)
	if err == nil {
		err = f.newLinks(o.head, out)
	}
	if err != nil {
		return nil, within(o.Path, err)
	}
	f.listings[o.addr] = out
	return out, nil
}

// oldLinks reads the members of a group whose names are in a heap, sorted by a
// tree.
func (f *File) oldLinks(h *header, out map[string]link) error {
	m := h.find(msgSymbols)
	if m == nil {
		return nil
	}
	r := f.reader(m.body)
	tree, heapAt := r.addr(), r.addr()
	if r.failed {
		return damaged("a group is cut off")
	}
	names, err := f.localHeap(heapAt)
	if err != nil {
		return err
	}
	return f.eachLeaf(tree, treeOf{kind: 0, key: f.lenSize}, func(_ []byte, addr uint64) error {
		return f.symbols(addr, names, out)
	})
}

func (f *File) localHeap(addr uint64) ([]byte, error) {
	r, err := f.at(addr, "HEAP")
	if err != nil {
		return nil, err
	}
	r.skip(4)
	size := r.length()
	r.skip(f.lenSize)
	data := r.addr()
	if r.failed {
		return nil, damaged("the names of a group are cut off")
	}
	return f.slice(data, size)
}

// symbols reads a node of the symbol table.
func (f *File) symbols(addr uint64, names []byte, out map[string]link) error {
	r, err := f.at(addr, "SNOD")
	if err != nil {
		return err
	}
	r.skip(2)
	for range int(r.u16()) {
		name, header := r.addr(), r.addr()
		cache := r.u32()
		r.skip(4 + 16)
		if r.failed || name >= uint64(len(names)) {
			return damaged("a group is cut off")
		}
		l := link{addr: header}
		if cache == 2 {
			l.kind = "a link by name"
		}
		if err := f.member(out, text(names[name:]), l); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) member(out map[string]link, name string, l link) error {
	if len(out) >= maxMembers {
		return stoa.Errorf(stoa.TooLarge, "HDF5: a group of over %d members", maxMembers)
	}
	out[name] = l
	return f.spend(len(name))
}

// newLinks reads the members of a group that are messages of its header, or lie
// in a heap of their own where they are many.
func (f *File) newLinks(h *header, out map[string]link) error {
	for i := range h.messages {
		m := &h.messages[i]
		switch m.typ {
		case msgLink:
			body, err := f.resolved(m)
			if err != nil {
				return err
			}
			if err := f.link(body, out); err != nil {
				return err
			}
		case msgLinkInfo:
			r := f.reader(m.body)
			r.skip(1)
			flags := r.u8()
			if flags&1 != 0 {
				r.skip(8)
			}
			heap, index := r.addr(), r.addr()
			if r.failed {
				return damaged("a group is cut off")
			}
			if heap == undefined {
				continue
			}
			err := f.eachDense(heap, index, func(body []byte) error { return f.link(body, out) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// link reads a link message.
func (f *File) link(body []byte, out map[string]link) error {
	r := f.reader(body)
	version, flags := r.u8(), r.u8()
	kind := uint8(0)
	if flags&8 != 0 {
		kind = r.u8()
	}
	if flags&4 != 0 {
		r.skip(8) // order of creation
	}
	if flags&0x10 != 0 {
		r.skip(1) // ASCII or UTF-8
	}
	n := r.uint(1 << (flags & 3))
	if n > uint64(len(body)) {
		return damaged("a link is cut off")
	}
	name := string(r.bytes(int(n)))
	var l link
	switch kind {
	case 0:
		l.addr = r.addr()
	case 1:
		l.kind = "a link by name"
	case 64:
		l.kind = "a link into another file"
	default:
		l.kind = "a link of an unknown kind"
	}
	if r.failed || version != 1 {
		return damaged("a link is cut off")
	}
	return f.member(out, name, l)
}

// treeOf says what a B-tree of the first version holds: its kind, and the bytes
// of a key.
type treeOf struct {
	kind uint8
	key  int
}

// eachLeaf visits the children of a tree's lowest nodes, each with the key that
// stands before it.
func (f *File) eachLeaf(root uint64, of treeOf, visit func(key []byte, addr uint64) error) error {
	return f.treeNode(root, of, -1, visit)
}

// treeNode visits a node, whose level must be the one below its parent's, which
// ends circles; -1: any.
func (f *File) treeNode(addr uint64, of treeOf, level int, visit func(key []byte, addr uint64) error) error {
	if addr == undefined {
		return nil
	}
	r, err := f.at(addr, "TREE")
	if err != nil {
		return err
	}
	kind, own := r.u8(), int(r.u8())
	n := int(r.u16())
	r.skip(2 * f.offSize)
	if r.failed || kind != of.kind || level >= 0 && own != level || own > maxDepth {
		return damaged("an index is not what it should be")
	}
	if err := f.spend(n * (of.key + f.offSize)); err != nil {
		return err
	}
	for range n {
		key, child := r.bytes(of.key), r.addr()
		if r.failed {
			return damaged("an index is cut off")
		}
		if own > 0 {
			err = f.treeNode(child, of, own-1, visit)
		} else {
			err = visit(key, child)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
