package auth0

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/seed62b93bad/passwordless"
)

// metadata is what OpenID Connect Discovery 1.0, section 3, asks for, of what exists here.
type metadata struct {
	Issuer              string   `json:"issuer"`
	TokenEndpoint       string   `json:"token_endpoint"`
	RevocationEndpoint  string   `json:"revocation_endpoint"`
	JWKSURI             string   `json:"jwks_uri"`
	ScopesSupported     []string `json:"scopes_supported"`
	ResponseTypes       []string `json:"response_types_supported"` // of links: there is no authorization endpoint
	ResponseModes       []string `json:"response_modes_supported,omitempty"`
	GrantTypes          []string `json:"grant_types_supported"`
	ChallengeMethods    []string `json:"code_challenge_methods_supported,omitempty"`
	ResponseIssuer      bool     `json:"authorization_response_iss_parameter_supported,omitempty"` // RFC 9207
	SubjectTypes        []string `json:"subject_types_supported"`
	Algorithms          []string `json:"id_token_signing_alg_values_supported"`
	AuthMethods         []string `json:"token_endpoint_auth_methods_supported"`
	AssertionAlgorithms []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	Claims              []string `json:"claims_supported"`
}

func (h *Handler) describe() ([]byte, error) {
	algorithms, err := algorithms(h.svc.JWKS())
	if err != nil {
		return nil, err
	}
	m := metadata{
		Issuer:              h.svc.Issuer(),
		TokenEndpoint:       h.at(tokenPath),
		RevocationEndpoint:  h.at(revokePath),
		JWKSURI:             h.at(jwksPath),
		ScopesSupported:     everywhere,
		ResponseTypes:       []string{},
		GrantTypes:          []string{otpGrant, refreshGrant},
		SubjectTypes:        []string{"public"},
		Algorithms:          append(algorithms, string(passwordless.HS256)),
		AuthMethods:         []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
		AssertionAlgorithms: passwordless.AssertionAlgorithms(),
		Claims: []string{"iss", "sub", "aud", "iat", "exp", "auth_time", "amr", "nonce", "name", "nickname", "updated_at",
			"email", "email_verified", "phone_number", "phone_number_verified"},
	}
	if h.opts.Pages != nil {
		m.GrantTypes = append(m.GrantTypes, codeGrant)
		m.ResponseTypes, m.ResponseModes = []string{"code"}, []string{"query", "fragment"}
		m.ChallengeMethods, m.ResponseIssuer = []string{"S256"}, true
	}
	return json.Marshal(m)
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
