package message_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless/internal/message"
)

func TestFormsWriteWhatTheTemplatesDo(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	for _, channel := range []string{message.Email, message.SMS} {
		for _, locale := range slices.Sorted(maps.Keys(warnings)) {
			for _, code := range []string{"", "0", "492817", "ABC-def_9", strings.Repeat("7", 64)} {
				for _, link := range []string{"", "https://id.example.com/a?t=b",
					"http://127.0.0.1:8/a?t=b&amp=c+d%20e#f", "https://x/{"} {
					l := sample(channel)
					l.Code, l.Link = code, link
					for range 2 { // the form is made, and then used
						w, err := r.Render(l, locale)
						if err != nil {
							break // refused: see TestRenderRefuses
						}
						if want, err := r.Execute(l, locale); err != nil || w != want {
							t.Errorf("%s %s %q %q: differs, %v", channel, locale, code, link, err)
						}
					}
				}
			}
		}
	}
	if kept, used := r.Forms(); kept != used || kept == 0 {
		t.Errorf("%d forms, %d used: a shipped template makes none", kept, used)
	}
}

func TestRenderConcurrently(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 50 {
				l := sample(message.Email)
				l.Code = fmt.Sprintf("%03d%03d", i, j)
				l.Life = time.Duration(j%7) * time.Minute
				if w, err := r.Render(l, []string{"sv", "de", "en"}[j%3]); err != nil || !strings.Contains(w.HTML, l.Code) {
					t.Errorf("%v, or another message's code", err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzTextMessage(f *testing.F) {
	r := newRenderer(f, nil)
	f.Add("Example", "sv,en;q=0.5", "492817", "", "sign-in")
	f.Add("@evil.example #1", "\n@evil.example #1", "1", "https://x/?t=a&b=c", "x")
	f.Add("a\n@evil.example #1", "de", "{{.Code}}", "https://x/ y", "\n@evil.example #1")
	f.Add("<b>&'\"", "fr", "A-b_9", "http://x/%0a@evil", "{{")
	f.Fuzz(func(t *testing.T, app, languages, code, link, purpose string) {
		l := sample(message.SMS)
		l.AppName, l.Code, l.Link, l.Purpose = app, code, link, purpose
		w, err := r.Render(l, languages)
		if err != nil {
			return
		}
		text := w.Text
		at, got, ok := originBound(text)
		if code != "" && (!ok || at != host || got != code || !strings.HasSuffix(text, "\n@"+host+" #"+code)) {
			t.Errorf("bound to %q, code %q, %v: %q", at, got, ok, text)
		}
		if code == "" && ok {
			t.Errorf("bound without a code: %q", text)
		}
		l.Channel, l.Cancel = message.Email, l.Link
		if w, err = r.Render(l, languages); err != nil {
			t.Fatalf("refused as e-mail: %v", err)
		}
		if executed, err := r.Execute(l, languages); err != nil || executed != w {
			t.Errorf("the form differs from the templates: %v", err)
		}
		if strings.ContainsAny(w.Subject, "\r\n\x00") || strings.Count(w.HTML, "<") != strings.Count(w.HTML, ">") {
			t.Errorf("subject %q, HTML %q", w.Subject, w.HTML)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	r := newRenderer(b, nil)
	for _, channel := range []string{message.Email, message.SMS} {
		b.Run(channel, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l := sample(channel)
				if _, err := r.Render(l, "sv-SE,sv;q=0.9,en;q=0.8"); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(channel+" by executing", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Execute(sample(channel), "sv"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNewRenderer(b *testing.B) {
	for b.Loop() {
		if _, err := message.New(nil, "id.example.com"); err != nil {
			b.Fatal(err)
		}
	}
}
