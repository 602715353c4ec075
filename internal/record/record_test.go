package record_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/record"
)

func body() []byte {
	w := record.NewWriter(64)
	w.Num(-1 << 60)
	w.Num(200)
	w.Flag(true)
	w.Text("known")
	w.Text("other")
	w.Byte(1, 2, 3)
	return w.Bytes()
}

func read(b []byte) (record.Reader, []string) {
	r := record.Open(b, "known")
	r.Num()
	r.Small()
	r.Flag()
	texts := []string{r.Text(), r.Text()}
	var fixed [3]byte
	r.Fixed(fixed[:])
	return r, texts
}

func TestWhatWasWrittenIsRead(t *testing.T) {
	r := record.Open(body(), "known")
	assert.Equal(t, int64(-1<<60), r.Num())
	assert.Equal(t, uint8(200), r.Small())
	assert.True(t, r.Flag())
	assert.Equal(t, "known", r.Text())
	assert.Equal(t, "other", r.Text())
	assert.True(t, r.More())
	assert.Equal(t, "\x01\x02\x03", r.Chars(3))
	assert.False(t, r.More())
	require.NoError(t, r.Err())
}

func TestEveryCutIsAnError(t *testing.T) { // SK-6
	whole := body()
	for n := range whole {
		r, _ := read(whole[:n])
		require.Error(t, r.Err(), "%d bytes", n)
	}
	r, _ := read(append(whole, "fields of a later release"...))
	assert.NoError(t, r.Err(), "a reader that knows fewer fields ignores the rest")
}

func TestAnUnknownFormatIsAnError(t *testing.T) {
	r := record.Open([]byte{record.Format + 1, 0})
	assert.ErrorIs(t, r.Err(), record.ErrFormat)
	r = record.Open(nil)
	assert.ErrorIs(t, r.Err(), record.ErrFormat)
	assert.False(t, r.More())
}

func TestANumberThatIsTooLargeForItsFieldIsAnError(t *testing.T) {
	w := record.NewWriter(8)
	w.Num(256)
	r := record.Open(w.Bytes())
	r.Small()
	assert.ErrorIs(t, r.Err(), record.ErrValue)
}

func FuzzReader(f *testing.F) {
	f.Add(body())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, texts := read(b)
		if r.Err() != nil {
			return
		}
		again, same := read(b)
		if again.Err() != nil || same[0] != texts[0] || same[1] != texts[1] {
			t.Fatal("read twice, read otherwise")
		}
	})
}
