package graphdef

// SightText tells what a file is that is written as text.
func SightText(_ []byte) Kind { return KindNone }

// Binary gives the binary form of a text.
func Binary(_ Kind, data []byte) ([]byte, error) { return data, nil }
