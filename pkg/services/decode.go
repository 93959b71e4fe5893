package services

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxList bounds the elements of a list in a request.
const maxList = 64

// member is one member that a request's object may have: text, or a list of texts where list is set.
type member struct {
	name     string
	text     *string
	list     *[]string
	optional bool
}

// decode reads the body of a request: one JSON object that has these members and no others, each once and under exactly this name. encoding/json's
// own decoding into a struct would take other cases of a name, and the last of two; here what one reader of a request sees is what all see.
func (c *call) decode(members ...member) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	return decodeObject(body, members)
}

// readBody reads the body of a request that must have one in JSON.
func readBody(w http.ResponseWriter, r *http.Request, limit int) ([]byte, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := params["charset"]
	delete(params, "charset")
	if err != nil || kind != "application/json" || len(params) > 0 || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, &refusal{status: http.StatusUnsupportedMediaType, code: "bad_content_type", message: "the body is not declared as JSON", fix: "send Content-Type: application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, &refusal{status: http.StatusRequestEntityTooLarge, code: "body_too_large", message: "the body is too large", fix: fmt.Sprintf("send at most %d bytes", limit)}
	}
	if err != nil {
		return nil, badRequest("bad_body", "the body did not arrive", "send the whole body in time")
	}
	return body, nil
}

func badJSON(message string) error {
	return badRequest("bad_json", message, "send one JSON object in UTF-8 with the members that the manual names, each once")
}

// decodeObject is decode without the request. It never says what a value was: it may be a password.
func decodeObject(body []byte, members []member) error {
	if !utf8.Valid(body) { // the decoder would put U+FFFD in the place of what it cannot read
		return badJSON("the body is no UTF-8")
	}
	in := json.NewDecoder(bytes.NewReader(body))
	if token, err := in.Token(); err != nil || token != json.Delim('{') {
		return badJSON("the body is no JSON object")
	}
	seen := make([]bool, len(members))
	for in.More() {
		token, err := in.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return badJSON("the body is no JSON object")
		}
		at := position(members, name)
		if at < 0 {
			return badJSON(fmt.Sprintf("unknown member %.40q", name))
		}
		if seen[at] {
			return badJSON(fmt.Sprintf("member %q comes twice", name))
		}
		seen[at] = true
		if err := members[at].read(in); err != nil {
			return err
		}
	}
	if token, err := in.Token(); err != nil || token != json.Delim('}') {
		return badJSON("the body is no JSON object")
	}
	if _, err := in.Token(); err != io.EOF {
		return badJSON("something follows the JSON object")
	}
	for i, m := range members {
		if !seen[i] && !m.optional {
			return badJSON(fmt.Sprintf("member %q is missing", m.name))
		}
	}
	return nil
}

func position(members []member, name string) int {
	for i, m := range members {
		if m.name == name {
			return i
		}
	}
	return -1
}

func (m member) read(in *json.Decoder) error {
	token, err := in.Token()
	if err != nil {
		return badJSON("the body is no JSON object")
	}
	if m.text != nil {
		text, ok := token.(string)
		if !ok {
			return badJSON(fmt.Sprintf("member %q is no string", m.name))
		}
		*m.text = text
		return nil
	}
	if token != json.Delim('[') {
		return badJSON(fmt.Sprintf("member %q is no list of strings", m.name))
	}
	list := []string{}
	for in.More() {
		token, err := in.Token()
		text, ok := token.(string)
		if err != nil || !ok || len(list) == maxList {
			return badJSON(fmt.Sprintf("member %q is no list of at most %d strings", m.name, maxList))
		}
		list = append(list, text)
	}
	if _, err := in.Token(); err != nil {
		return badJSON("the body is no JSON object")
	}
	*m.list = list
	return nil
}
