package secret_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed62b93bad/passwordless/internal/secret"
)

func TestAMACSumsAsItsKeyDoes(t *testing.T) { // SK-1
	key, other := secret.NewKey([]byte("0123456789abcdef0123456789abcdef")), secret.NewKey([]byte("another"))
	mac := secret.NewMAC(key)
	for _, field := range []string{"", "a", string(make([]byte, 5000)), "a"} {
		assert.Equal(t, key.Sum("label", field), mac.Sum("label", []byte(field)))
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
				assert.Equal(t, key.Sum("label", string(field)), mac.Sum("label", field))
			}
		})
	}
	all.Wait()
}
