package passwordless_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// templates make a change of a world's configuration from pairs of a name and a text.
func templates(files ...string) func(*passwordless.Config) {
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return func(c *passwordless.Config) { c.Templates = fsys }
}

func TestTemplatesAreGivenTheWholeMessage(t *testing.T) {
	t.Parallel()
	all := `{{.App}} {{.Locale}} {{.Purpose}} {{.Hours}} {{.Minutes}} {{.Code}} {{.Link}} {{.Cancel}}`
	w := newWorld(t, templates("email.txt", all, "email.html", "<p>"+all))
	_, err := w.Start(t.Context(), w.as("web", home), passwordless.StartRequest{Channel: passwordless.Email, Address: alice,
		Send: passwordless.SendBoth, Languages: "sv-SE,en;q=0.5"})
	require.NoError(t, err)
	m := w.outbox.last()
	minutes := m.Expires.Sub(epochStart) / time.Minute
	want := "Example sv sign-in 0 " + strings.TrimSuffix(minutes.String(), "ns") + " " + m.Code.Reveal() + " " +
		m.Link.Reveal() + " " + m.Cancel.Reveal()
	assert.Equal(t, want+"\n", m.Text.Reveal())
	assert.Equal(t, "<p>"+want, m.HTML.Reveal())
	assert.Equal(t, "Logga in på Example", m.Subject.Reveal())
	assert.Equal(t, "sv", m.Locale)
}

func TestCodesOfTextMessagesAreBoundToTheHostOfThePages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *passwordless.Config) { c.PageURL = "https://pages.example.com:8443/in/" })
	_, err := w.Start(t.Context(), w.as("web", home), passwordless.StartRequest{Channel: passwordless.SMS,
		Address: "+46701111111"})
	require.NoError(t, err)
	m := w.outbox.last()
	assert.True(t, strings.HasSuffix(m.Text.Reveal(), "\n@pages.example.com #"+m.Code.Reveal()), m.Text.Reveal())
}

func TestEachMistakeInTemplatesIsALineOfTheConfiguration(t *testing.T) { // OP-1
	t.Parallel()
	cfg := newWorld(t).cfg
	templates("email.txt", "{{.Code", "sv.tmpl", "{{end}}")(&cfg)
	cfg.PageURL = "https://Login.example.com/"
	_, err := passwordless.New(cfg)
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 4, err)
	assert.Contains(t, lines[1], "PageURL: want")
	for _, line := range lines[2:] {
		assert.True(t, strings.HasPrefix(line, "Templates: message: "), line)
	}
}
