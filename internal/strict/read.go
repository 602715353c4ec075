package strict

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

const (
	mediaJSON = "application/json"
	mediaForm = "application/x-www-form-urlencoded"
)

// ReadJSON reads the body of r as one JSON object by the rules of ParseJSON. The content type must be application/json,
// in UTF-8 if it names a charset. At most limits.Bytes are read. The query is not looked at.
func ReadJSON(w http.ResponseWriter, r *http.Request, limits Limits) (Fields, error) {
	return readAs(w, r, limits, mediaJSON)
}

// ReadForm reads the body of r as a form by the rules of ParseForm. The content type must be
// application/x-www-form-urlencoded. The query never supplies a member, and one that repeats a member of the body is a
// Duplicate.
func ReadForm(w http.ResponseWriter, r *http.Request, limits Limits) (Fields, error) {
	return readAs(w, r, limits, mediaForm)
}

// Read is ReadJSON or ReadForm, as the content type says.
func Read(w http.ResponseWriter, r *http.Request, limits Limits) (Fields, error) {
	return readAs(w, r, limits, mediaJSON, mediaForm)
}

// Query reads the query string of r by the rules of ParseForm.
func Query(r *http.Request, limits Limits) (Fields, error) {
	return ParseForm(r.URL.RawQuery, limits)
}

func readAs(w http.ResponseWriter, r *http.Request, limits Limits, accepted ...string) (Fields, error) {
	limits = limits.withDefaults()
	media := mediaType(r.Header)
	for _, a := range accepted {
		if media != a {
			continue
		}
		body, err := readBody(w, r, limits.Bytes)
		if err != nil {
			return Fields{}, err
		}
		if media == mediaJSON {
			return ParseJSON(body, limits)
		}
		return parseFormBody(r, string(body), limits)
	}
	return Fields{}, refuse(MediaType)
}

func parseFormBody(r *http.Request, body string, limits Limits) (Fields, error) {
	query, err := Query(r, limits)
	if err != nil {
		return Fields{}, err
	}
	form, err := ParseForm(body, limits)
	if err != nil {
		return Fields{}, err
	}
	if form.shares(query) {
		return Fields{}, refuse(Duplicate)
	}
	return form, nil
}

// mediaType returns the media type of the one Content-Type header, or "" if there is none, there are two, it is
// malformed, or its charset is not UTF-8.
func mediaType(h http.Header) string {
	lines := h.Values("Content-Type")
	if len(lines) != 1 {
		return ""
	}
	media, params, err := mime.ParseMediaType(lines[0])
	if err != nil {
		return ""
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return ""
	}
	return media
}

func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, refuse(TooLarge)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, refuse(TooLarge)
	case err != nil:
		return nil, &Error{Reason: Aborted, Err: err}
	}
	return body, nil
}
