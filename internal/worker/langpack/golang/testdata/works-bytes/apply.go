package algorithm

func Apply(in []byte) ([]byte, error) { return in, nil }
