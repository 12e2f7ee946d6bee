package stoa

import "time"

// ValueType says how the bytes of a Value are to be read.
type ValueType string

// The types of values, spelled as in a call's metadata.content_type.
const (
	Text   ValueType = "text"   // Data is UTF-8 text
	JSON   ValueType = "json"   // Data is one JSON value
	Binary ValueType = "binary" // Data is raw bytes
	Void   ValueType = "void"   // no Data
)

// Value is what a call carries in or out. Data belongs to the Value: nobody
// changes it after it was made.
type Value struct {
	Type ValueType
	Data []byte
	// MediaType tells more about a Binary value where it is known, such as
	// "image/png"; "" otherwise.
	MediaType string
}

// NpyMediaType is the media type of a Binary value in NumPy's npy format, and
// NpzMediaType of several such arrays in an uncompressed zip.
const (
	NpyMediaType = "application/x-npy"
	NpzMediaType = "application/x-npz"
)

// Caller is who makes a call or asks for something. The zero Caller is nobody.
type Caller struct {
	Account string // the user or organization, as named at sign-up
	Key     string // id of the key used; never the key itself
	Admin   bool   // may act for any owner
	// Parent is the token of the call under way on whose behalf an algorithm makes
	// this one, "" for a call from outside.
	Parent string
}

// Call is one invocation, as it comes through a door.
type Call struct {
	ID       string // request id
	Ref      Ref
	Caller   Caller
	Input    Value
	Timeout  time.Duration // 0 means the default
	Received time.Time
}

// Result is the answer to one call, or to one item of a batch: either Value or
// Err is set. Usage is valid in both cases.
type Result struct {
	Value Value
	Err   error
	Usage Usage
	// Stdout and Stderr are what the algorithm's code printed meanwhile, up to a
	// limit; models print nothing.
	Stdout, Stderr string
}

// Usage is where the time of a call went, and what it moved.
type Usage struct {
	Queue     time.Duration // waited for a free place in a replica, cold start included
	Load      time.Duration // of which: starting a worker and loading the model
	Batch     time.Duration // waited for companions
	Compute   time.Duration // in the worker: decode, run, encode
	BatchSize int           // items run together
	Attempts  int           // times it was handed to a replica
	BytesIn   int64
	BytesOut  int64
}
