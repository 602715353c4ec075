package jose

import (
	"encoding/json"
	"errors"
	"fmt"
)

// The limits of a client's key set, which may come from afar.
const (
	maxKeySet    = 64 << 10 // bytes
	maxKeysInSet = 16
)

// ParseKeySet reads a key set (RFC 7517, 5): its usable keys, and what is wrong with each other one. It is an error if
// the set as a whole cannot be read. No error repeats what the set says.
func ParseKeySet(text []byte) (keys []PublicKey, unusable []error, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	switch {
	case len(text) > maxKeySet:
		return nil, nil, errors.New("key set over 64 KiB")
	case json.Unmarshal(text, &set) != nil || set.Keys == nil:
		return nil, nil, errors.New("not a JSON object with an array of keys")
	case len(set.Keys) > maxKeysInSet:
		return nil, nil, fmt.Errorf("more than %d keys", maxKeysInSet)
	}
	for i, raw := range set.Keys {
		key, err := parseKey(raw)
		if err != nil {
			unusable = append(unusable, fmt.Errorf("keys[%d]: %w", i, err))
			continue
		}
		keys = append(keys, key)
	}
	return keys, unusable, nil
}

// CheckKeySet reports every mistake of a key set that is given by value; "" is none.
func CheckKeySet(text string) error {
	if text == "" {
		return nil
	}
	keys, unusable, err := ParseKeySet([]byte(text))
	if err == nil && len(keys)+len(unusable) == 0 {
		err = errors.New("no keys")
	}
	return errors.Join(append(unusable, err)...)
}
