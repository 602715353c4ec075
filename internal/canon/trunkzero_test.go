package canon_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/canon"
)

// zeroShapes are the plans whose numbers may begin with a zero: how many digits such a number has behind the calling
// code, and whether a second zero may follow the first.
var zeroShapes = map[int]struct {
	shortest, longest int
	second            bool
}{
	39:  {6, 12, false},
	225: {10, 10, false},
	226: {8, 8, false},
	229: {10, 10, false},
	242: {9, 9, false},
	378: {10, 10, false},
	992: {9, 9, true},
}

// Of all calling codes and lengths, with one, two and three zeros, those that begin with a zero are accepted where the plan
// has such numbers and nowhere else (RL-3).
func TestAZeroBehindTheCallingCode(t *testing.T) {
	t.Parallel()
	accepted := 0
	for code := 1; code < 1000; code++ {
		if canon.CallingCode(fmt.Sprintf("+%d", code)) != code {
			continue
		}
		shape, has := zeroShapes[code]
		for size := max(4, 7-len(fmt.Sprint(code))); size <= 15-len(fmt.Sprint(code)); size++ {
			for zeros := 1; zeros <= 3; zeros++ {
				number := fmt.Sprintf("+%d%s%s", code, strings.Repeat("0", zeros), strings.Repeat("5", size-zeros))
				out, err := canon.Phone(number)
				if !has || size < shape.shortest || size > shape.longest || zeros > 1 && !shape.second {
					require.ErrorIs(t, err, canon.ErrTrunkZero, number)
					continue
				}
				require.NoError(t, err, number)
				require.Equal(t, number, out)
				accepted++
			}
		}
	}
	assert.Equal(t, 7+5+3, accepted, "seven lengths of Italy, one of five others, three counts of zeros of Tajikistan")
}

// However a trunk zero is written, it makes no second form of a number (RL-3).
func TestATrunkZeroInEverySpelling(t *testing.T) {
	t.Parallel()
	for spelling, want := range map[string]error{
		"+460701111111":       canon.ErrTrunkZero,
		"+4600701111111":      canon.ErrTrunkZero,
		"+46000701111111":     canon.ErrTrunkZero,
		"+460000701111111":    canon.ErrTrunkZero,
		"+4600000701111111":   canon.ErrNumber, // 16 digits
		"00460701111111":      canon.ErrTrunkZero,
		"+46 070-111 11 11":   canon.ErrTrunkZero,
		"+46 0 70 111 11 11":  canon.ErrTrunkZero,
		"+46.0.0.701111111":   canon.ErrTrunkZero,
		"+46 0(70)111 11 11":  canon.ErrTrunkZero,
		"+46 (0)70 111 11 11": canon.ErrNumber,
		"+46 (070) 1111111":   canon.ErrNumber,
		"+46 0 (0)701111111":  canon.ErrNumber,
	} {
		out, err := canon.Phone(spelling)
		require.ErrorIs(t, err, want, spelling)
		assert.Empty(t, out, spelling)
	}
}

// In Italy a number with a zero and the one without are two subscribers, each with one form.
func TestItalyHasNumbersWithAndWithoutAZero(t *testing.T) {
	t.Parallel()
	for want, spellings := range map[string][]string{
		"+390312345678": {"+390312345678", "00390312345678", "+39 031 234-5678", "+39.031.2345678", "+39 0 (31) 2345678"},
		"+39312345678":  {"+39312345678", "0039312345678", "+39 312 345 678", "+39 (312) 345678"},
	} {
		for _, s := range spellings {
			out, err := canon.Phone(s)
			require.NoError(t, err, s)
			assert.Equal(t, want, out, s)
		}
	}
}
