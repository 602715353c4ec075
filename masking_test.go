package passwordless_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// What must never be printed, and shows where it was.
const (
	canaryText  = "canary-of-a-secret-that-is-32-bytes-or-more"
	canaryMail  = passwordless.Address("canary.person@example.com")
	canaryPhone = passwordless.Address("+46701239876")
)

// canaries are values that hold secrets and addresses, each by its name.
func canaries(t *testing.T) map[string]any {
	secret, key := passwordless.Secret(canaryText), passwordless.SecretBytes(canaryText)
	signing := passwordless.SigningKey{ID: "ed", Key: ed25519.NewKeyFromSeed(key[:ed25519.SeedSize])}
	w := newWorld(t, func(c *passwordless.Config) {
		c.Hasher = passwordless.NewKeyring(key, passwordless.RingKey{ID: "k1", Secret: key[1:]})
		c.SigningKeys = append(c.SigningKeys, signing)
		c.Clients = append(c.Clients.(passwordless.ClientList), passwordless.Client{ID: "backend",
			Keys: passwordless.ClientKeys{SecretHashes: []passwordless.SecretHash{passwordless.HashClientSecret(canaryText)}}},
			passwordless.Client{ID: "hs", Tokens: passwordless.TokenPolicy{Algorithm: passwordless.HS256},
				Keys: passwordless.ClientKeys{HS256Key: key[2:],
					SecretHashes: []passwordless.SecretHash{passwordless.HashClientSecret("other")}}})
	})
	caller := passwordless.Caller{IP: home.IP, Device: secret, Browser: secret}
	mail := passwordless.Identifier{Channel: passwordless.Email, Address: canaryMail}
	phone := passwordless.Identifier{Channel: passwordless.SMS, Address: canaryPhone}
	user := passwordless.User{ID: "u", Email: canaryMail, Phone: canaryPhone}
	issue := passwordless.Issue{Session: true, Tokens: &passwordless.TokenRequest{Scopes: []string{"openid"}}, Code: asking().Code}
	login := passwordless.Login{User: user, Identifier: mail, Device: secret, AuthorizationCode: secret,
		Session: &passwordless.Session{ID: "s", Token: secret},
		Tokens:  &passwordless.Tokens{Access: secret, ID: secret, Refresh: secret}}
	authenticated, err := w.Authenticate(t.Context(), passwordless.Credentials{ClientID: "backend", Secret: secret}, caller)
	require.NoError(t, err)
	found, err := w.Directory().Add(t.Context(), "", passwordless.User{Email: canaryMail, Phone: canaryPhone})
	require.NoError(t, err)
	read, err := w.Directory().Get(t.Context(), "", found.ID)
	require.NoError(t, err)
	var recordKey passwordless.RecordKey
	recordKey.ID = "k1"
	copy(recordKey.Key[:], canaryText)
	return map[string]any{
		"StartRequest": passwordless.StartRequest{Channel: passwordless.Email, Address: canaryMail}, "Address": canaryPhone,
		"VerifyRequest":         passwordless.VerifyRequest{Handle: secret, Address: canaryMail, Code: secret, Issue: issue},
		"VerifyRequest by SMS":  passwordless.VerifyRequest{Channel: passwordless.SMS, Address: canaryPhone, Code: secret},
		"RedeemRequest":         passwordless.RedeemRequest{Token: secret, Issue: issue},
		"RefreshRequest":        passwordless.RefreshRequest{Token: secret},
		"ExchangeRequest":       passwordless.ExchangeRequest{Code: secret, Verifier: secret},
		"AccessTokenRequest":    passwordless.AccessTokenRequest{Token: secret},
		"Credentials":           passwordless.Credentials{ClientID: "c", Secret: secret, Assertion: secret},
		"Caller":                caller,
		"Login":                 login,
		"Started":               passwordless.Started{Handle: secret, Browser: secret, Identifier: phone},
		"Identifier":            mail,
		"Identifier of a phone": phone,
		"User":                  user, "User of a directory": read,
		"LinkInfo":                passwordless.LinkInfo{Client: "c", Identifier: mail},
		"Requester":               w.as("web", caller),
		"Requester that proved":   authenticated,
		"Requester of no Service": passwordless.Requester{},
		"RecordKey":               recordKey,
		"RingKey":                 passwordless.RingKey{ID: "k", Secret: key},
		"Keyring":                 w.cfg.Hasher,
		"Config":                  w.cfg,
		"Client":                  passwordless.Client{ID: "c", Keys: passwordless.ClientKeys{HS256Key: key}},
		"ClientKeys":              passwordless.ClientKeys{HS256Key: key},
		"OtherBrowserError":       &passwordless.OtherBrowserError{Code: secret},
		"SigningKey":              signing,
		"Session":                 passwordless.Session{ID: "s", Token: secret},
		"Tokens":                  *login.Tokens,
		"Message": passwordless.Message{To: secret, Code: secret, Link: secret, Cancel: secret, Subject: secret,
			Text: secret, HTML: secret},
	}
}

// wraps are the places in which a value can be printed.
func wraps(v any) map[string]any {
	all := map[string]any{"itself": v, "a slice": []any{v}, "a map": map[string]any{"k": v}, "a field": struct{ Field any }{v}}
	if r := reflect.ValueOf(v); r.Kind() != reflect.Pointer {
		p := reflect.New(r.Type())
		p.Elem().Set(r)
		all["a pointer"] = p.Interface()
		all["a typed slice"] = reflect.Append(reflect.MakeSlice(reflect.SliceOf(r.Type()), 0, 1), r).Interface()
		all["a field's pointer"] = struct{ Field any }{p.Interface()}
	}
	return all
}

// printed is a value in every form that logs and answers have.
func printed(v any) map[string]string {
	all := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "% x", "%T %[1]v"} {
		all[verb] = fmt.Sprintf(verb, v)
	}
	if text, err := json.Marshal(v); err == nil {
		all["JSON"] = string(text)
	}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog's text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"slog's JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var out bytes.Buffer
		log := slog.New(handler(&out))
		log.Log(context.Background(), slog.LevelInfo, "m", "v", v)
		log.With("v", v).Info("m")
		log.WithGroup("g").Info("m", slog.Group("h", "v", v))
		all[name] = out.String()
	}
	return all
}

// leaks returns which of the canaries a text holds, in any of the forms in which bytes are printed.
func leaks(text string) (all []string) {
	text = strings.ToLower(text)
	for _, canary := range []string{canaryText[:8], canaryText[1:9], canaryText[2:10], string(canaryMail), "canary.person",
		string(canaryPhone), "4670123987"} {
		b := []byte(canary)
		decimal := strings.Trim(fmt.Sprintf("%d", b), "[]")
		for _, form := range []string{canary, hex.EncodeToString(b), fmt.Sprintf("% x", b), decimal,
			strings.ReplaceAll(decimal, " ", ","), strings.Trim(fmt.Sprintf("%#v", b), "[]byte{}"),
			base64.StdEncoding.EncodeToString(b[:len(b)/3*3])} {
			if strings.Contains(text, strings.ToLower(form)) {
				all = append(all, form)
			}
		}
	}
	return all
}

func TestNothingPrintsAnAddressOrASecret(t *testing.T) { // PR-1, PR-2, SK-7
	for name, v := range canaries(t) {
		for place, wrapped := range wraps(v) {
			for form, text := range printed(wrapped) {
				assert.Empty(t, leaks(text), "%s in %s by %s: %s", name, place, form, text)
			}
		}
	}
}

func TestTheCanariesSing(t *testing.T) { // what the test above looks for is found where nothing masks it
	type plain struct {
		Mail, Phone string
		Key         [32]byte
		Bytes       []byte
	}
	p := plain{Mail: string(canaryMail), Phone: string(canaryPhone), Bytes: []byte(canaryText)}
	copy(p.Key[:], canaryText)
	for form, text := range printed(p) {
		assert.NotEmpty(t, leaks(text), form)
	}
	for form, text := range printed(plain{Key: p.Key}) {
		assert.NotEmpty(t, leaks(text), "bytes by %s: %s", form, text)
	}
	for form, text := range printed(plain{Bytes: p.Bytes}) {
		assert.NotEmpty(t, leaks(text), "bytes by %s: %s", form, text)
	}
}

func TestAMaskedAddressIsRecognised(t *testing.T) { // PR-2: by whose it is
	for address, want := range map[passwordless.Address]string{canaryMail: "c***@example.com", canaryPhone: "***76", "": "",
		"nonsense": "***"} {
		text, err := json.Marshal(address)
		require.NoError(t, err)
		for _, got := range []string{address.String(), fmt.Sprint(address), fmt.Sprintf("%x", address),
			strings.Trim(string(text), `"`), address.LogValue().String(), passwordless.Identifier{Address: address}.String()} {
			assert.Equal(t, want, got)
		}
	}
}
