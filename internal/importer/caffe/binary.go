package caffe

import "github.com/stoa-project/stoa"

func parseBinary(file string, data []byte) (*message, error) {
	return nil, stoa.Errorf(stoa.Unsupported, "%s: later", file)
}
