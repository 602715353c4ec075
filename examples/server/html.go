package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}` +
	`table{border-collapse:collapse;width:100%}` +
	`th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #bbb}` +
	`pre{white-space:pre-wrap;background:#f3f3f3;color:#111;padding:.75rem}`

// layout is the frame of the server's own pages. Each defines "title" and "body".
const layout = `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{template "title" .}}</title>` +
	`<style>` + style + `</style></head>
<body>
<main>
<h1>{{template "title" .}}</h1>
{{template "body" .}}</main>
</body>
</html>
`

// newPage parses a page, which is part of this program.
func newPage(body string) *template.Template {
	return template.Must(template.New("layout").Parse(layout + body))
}

// show writes a page as a whole or not at all.
func show(w http.ResponseWriter, page *template.Template, data any) error {
	var b bytes.Buffer
	if err := page.Execute(&b, data); err != nil {
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
		return err
	}
	hash := sha256.Sum256([]byte(style))
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+
		"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(b.Bytes()) // nobody is left to tell
	return nil
}
