package algorithmia

import (
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/stoa-project/stoa"
	"github.com/stoa-project/stoa/internal/api"
)

const threeTypes = "application/json, text/plain or application/octet-stream"

// readInput reads a call's input. A body that is not what its content type says
// is refused here, so that no algorithm sees one.
func readInput(r *api.Request, limit int64) (stoa.Value, error) {
	v, err := valueType(r.Header.Get("Content-Type"))
	if err != nil {
		return v, err
	}
	if v.Data, err = api.ReadBody(r, limit); err != nil {
		return v, err
	}
	switch v.Type {
	case stoa.JSON:
		err = checkJSON(v.Data)
	case stoa.Text:
		if !utf8.Valid(v.Data) {
			err = stoa.Errorf(stoa.Invalid, "the text is not UTF-8: send it as UTF-8, or as application/octet-stream")
		}
	case stoa.Binary, stoa.Void:
	}
	return v, err
}

// valueType says how a body of this content type is read.
func valueType(contentType string) (stoa.Value, error) {
	switch contentType {
	case "application/json":
		return stoa.Value{Type: stoa.JSON}, nil
	case "application/octet-stream":
		return stoa.Value{Type: stoa.Binary}, nil
	case "":
		return stoa.Value{}, stoa.Errorf(stoa.Invalid, "the request has no Content-Type: send %s", threeTypes)
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil && media == "" {
		return stoa.Value{}, stoa.Errorf(stoa.Invalid, "Content-Type %.80q cannot be read: send %s", contentType, threeTypes)
	}
	switch {
	case media == "application/json":
		return stoa.Value{Type: stoa.JSON}, checkCharset(params)
	case media == "text/plain", media == "application/text":
		return stoa.Value{Type: stoa.Text}, checkCharset(params)
	case media == "application/octet-stream":
		return stoa.Value{Type: stoa.Binary}, nil
	case strings.HasPrefix(media, "image/"), media == stoa.NpyMediaType, media == stoa.NpzMediaType:
		return stoa.Value{Type: stoa.Binary, MediaType: media}, nil
	case media == "application/x-www-form-urlencoded":
		return stoa.Value{}, stoa.Errorf(stoa.Unsupported,
			"Content-Type %s, which curl sends unless told otherwise, is not supported: send %s, as with -H 'Content-Type: application/json'", media, threeTypes)
	}
	return stoa.Value{}, stoa.Errorf(stoa.Unsupported, "Content-Type %.80q is not supported: send %s", contentType, threeTypes)
}

func checkCharset(params map[string]string) error {
	switch cs := strings.ToLower(params["charset"]); cs {
	case "", "utf-8", "utf8", "us-ascii":
		return nil
	default:
		return stoa.Errorf(stoa.Unsupported, "charset %.40q is not supported: send UTF-8", cs)
	}
}
