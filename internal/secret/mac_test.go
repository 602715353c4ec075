package secret_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed62b93bad/passwordless/internal/secret"
)

// hmacOf is the MAC of a label and a field by the standard library.
func hmacOf(key secret.Key, label, field string) []byte {
	h := hmac.New(sha256.New, key[:])
	h.Write(secret.AppendField(secret.AppendField(nil, label), field))
	return h.Sum(nil)
}

func TestAMACIsHMACOverFieldsWithTheirLengths(t *testing.T) { // SK-1
	key, other := secret.NewKey([]byte("0123456789abcdef0123456789abcdef")), secret.NewKey([]byte("another"))
	mac := secret.NewMAC(key)
	for _, field := range []string{"", "a", string(make([]byte, 5000)), "a"} {
		got := mac.Sum("label", []byte(field))
		assert.Equal(t, hmacOf(key, "label", field), got[:])
	}
	assert.NotEqual(t, mac.Sum("a", nil), mac.Sum("b", nil), "another label")
	assert.True(t, mac.Has(key) && mac.Same(secret.NewMAC(key)))
	assert.False(t, mac.Has(other) || mac.Same(secret.NewMAC(other)))
}

func TestAMACIsForSeveralAtOnce(t *testing.T) {
	key := secret.NewKey([]byte("0123456789abcdef0123456789abcdef"))
	mac := secret.NewMAC(key)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			field := []byte{byte(i)}
			for range 100 {
				got := mac.Sum("label", field)
				assert.Equal(t, hmacOf(key, "label", string(field)), got[:])
			}
		})
	}
	all.Wait()
}
