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
	assert.Equal(t, "\x01\x02\x03", r.Chars(3))
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

func TestALastTextThatIsCutIsAnError(t *testing.T) { // VF-12
	w := record.NewWriter(8)
	w.Text("text")
	r := record.Open(w.Bytes()[:4])
	assert.Empty(t, r.Text())
	assert.ErrorIs(t, r.Err(), record.ErrShort)
}

func TestALastNumberThatIsCutIsAnError(t *testing.T) { // VF-12
	w := record.NewWriter(8)
	w.Num(1 << 20)
	for n := 1; n < len(w.Bytes()); n++ {
		r := record.Open(w.Bytes()[:n])
		assert.Zero(t, r.Num())
		assert.ErrorIs(t, r.Err(), record.ErrShort, "%d bytes", n)
	}
}

func TestAnUnknownFormatIsAnError(t *testing.T) {
	r := record.Open([]byte{record.Format + 1, 0})
	assert.ErrorIs(t, r.Err(), record.ErrFormat)
	r = record.Open(nil)
	require.ErrorIs(t, r.Err(), record.ErrFormat)
	assert.Zero(t, r.Num())
	assert.Empty(t, r.Text())
	assert.ErrorIs(t, r.Err(), record.ErrFormat, "what was wrong first")
}

func TestATruthValueIsOneOrZero(t *testing.T) { // VF-12
	for v := range 256 {
		w := record.NewWriter(2)
		w.Byte(byte(v))
		r, flags := record.Open(w.Bytes()), record.Open(w.Bytes())
		assert.Equal(t, v == 1, r.Bit(byte(v)))
		assert.Equal(t, v == 1, flags.Flag())
		for _, err := range []error{r.Err(), flags.Err()} {
			if v > 1 {
				require.ErrorIs(t, err, record.ErrValue, v)
			} else {
				require.NoError(t, err)
			}
		}
	}
	assert.Equal(t, []byte{1, 0}, []byte{record.Bit(true), record.Bit(false)})
}

func TestANumberThatIsTooLargeForItsFieldIsAnError(t *testing.T) {
	w := record.NewWriter(8)
	w.Num(256)
	r := record.Open(w.Bytes())
	r.Small()
	assert.ErrorIs(t, r.Err(), record.ErrValue)
}

func TestANumberOfThirtyTwoBits(t *testing.T) { // VF-12
	for v, fits := range map[int64]bool{0: true, 1<<32 - 1: true, 1 << 32: false, -1: false, -1 << 32: false, 1<<62 + 5: false} {
		w := record.NewWriter(10)
		w.Num(v)
		r := record.Open(w.Bytes())
		got := r.Num32()
		if fits {
			require.NoError(t, r.Err())
			assert.Equal(t, uint32(v), got)
		} else {
			require.ErrorIs(t, r.Err(), record.ErrValue, v)
		}
	}
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
