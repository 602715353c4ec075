package auth0

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed62b93bad/passwordless"
)

// metadata is what OpenID Connect Discovery 1.0, section 3, asks for, of what exists here.
type metadata struct {
	Issuer          string   `json:"issuer"`
	TokenEndpoint   string   `json:"token_endpoint"`
	JWKSURI         string   `json:"jwks_uri"`
	ScopesSupported []string `json:"scopes_supported"`
	ResponseTypes   []string `json:"response_types_supported"` // none: there is no authorization endpoint
	GrantTypes      []string `json:"grant_types_supported"`
	SubjectTypes    []string `json:"subject_types_supported"`
	Algorithms      []string `json:"id_token_signing_alg_values_supported"`
	AuthMethods     []string `json:"token_endpoint_auth_methods_supported"`
	Claims          []string `json:"claims_supported"`
}

func discovery(svc *passwordless.Service) ([]byte, error) {
	algorithms, err := algorithms(svc.JWKS())
	if err != nil {
		return nil, err
	}
	at := func(path string) string { return svc.Issuer() + strings.TrimPrefix(path, "/") }
	return json.Marshal(metadata{
		Issuer:          svc.Issuer(),
		TokenEndpoint:   at(tokenPath),
		JWKSURI:         at(jwksPath),
		ScopesSupported: everywhere,
		ResponseTypes:   []string{},
		GrantTypes:      []string{otpGrant, refreshGrant},
		SubjectTypes:    []string{"public"},
		Algorithms:      algorithms,
		AuthMethods:     []string{"client_secret_basic", "client_secret_post", "none"},
		Claims: []string{"iss", "sub", "aud", "iat", "exp", "auth_time", "amr", "nonce", "name", "nickname", "updated_at",
			"email", "email_verified", "phone_number", "phone_number_verified"},
	})
}

// algorithms are those of the key set.
func algorithms(jwks []byte) ([]string, error) {
	var set struct {
		Keys []struct {
			Alg string `json:"alg"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, fmt.Errorf("service: key set: %w", err)
	}
	var all []string
	for _, key := range set.Keys {
		all = append(all, key.Alg)
	}
	if len(all) == 0 {
		return nil, errors.New("service: Config.SigningKeys: required, to sign tokens")
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
