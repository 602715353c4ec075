package passwordless

import (
	"fmt"
	"io"
	"log/slog"
)

// The structs of this package that hold a Secret or an Address print as any struct does, with those masked. Each needs
// a Format: where fmt prints a pointer inside of another value by a verb that pointers do not have ("%s"), it calls the
// Format of what the pointer leads to, and none of its fields.

// byFields prints a struct as fmt does: it is of a type without a Format.
func byFields(f fmt.State, verb rune, fields any) { fmt.Fprintf(f, fmt.FormatString(f, verb), fields) }

// Format keeps what is secret masked, for every verb.
func (cfg Config) Format(f fmt.State, verb rune) {
	type fields Config
	byFields(f, verb, fields(cfg))
}

// Format keeps what is secret masked, for every verb.
func (c Client) Format(f fmt.State, verb rune) {
	type fields Client
	byFields(f, verb, fields(c))
}

// Format keeps what is secret masked, for every verb.
func (v ClientKeys) Format(f fmt.State, verb rune) {
	type fields ClientKeys
	byFields(f, verb, fields(v))
}

// Format keeps what is secret masked, for every verb.
func (v RingKey) Format(f fmt.State, verb rune) {
	type fields RingKey
	byFields(f, verb, fields(v))
}

// Format keeps what is secret masked, for every verb.
func (v Caller) Format(f fmt.State, verb rune) {
	type fields Caller
	byFields(f, verb, fields(v))
}

// Format keeps what is secret masked, for every verb.
func (v Credentials) Format(f fmt.State, verb rune) {
	type fields Credentials
	byFields(f, verb, fields(v))
}

// Format keeps what is secret masked, for every verb.
func (v StartRequest) Format(f fmt.State, verb rune) {
	type fields StartRequest
	byFields(f, verb, fields(v))
}

// Format keeps what is secret masked, for every verb.
func (v Started) Format(f fmt.State, verb rune) {
	type fields Started
	byFields(f, verb, fields(v))
}

// Format keeps what is secret masked, for every verb.
func (v VerifyRequest) Format(f fmt.State, verb rune) {
	type fields VerifyRequest
	byFields(f, verb, fields(v))
}

// Format keeps what is secret masked, for every verb.
func (v RedeemRequest) Format(f fmt.State, verb rune) {
	type fields RedeemRequest
	byFields(f, verb, fields(v))
}

// Format keeps what is secret masked, for every verb.
func (v LinkInfo) Format(f fmt.State, verb rune) {
	type fields LinkInfo
	byFields(f, verb, fields(v))
}

// Format keeps what is secret masked, for every verb.
func (v RefreshRequest) Format(f fmt.State, verb rune) {
	type fields RefreshRequest
	byFields(f, verb, fields(v))
}

// Format keeps what is secret masked, for every verb.
func (v ExchangeRequest) Format(f fmt.State, verb rune) {
	type fields ExchangeRequest
	byFields(f, verb, fields(v))
}

// Format keeps what is secret masked, for every verb.
func (v AccessTokenRequest) Format(f fmt.State, verb rune) {
	type fields AccessTokenRequest
	byFields(f, verb, fields(v))
}

// Format keeps what is secret masked, for every verb.
func (u User) Format(f fmt.State, verb rune) {
	type fields User
	byFields(f, verb, fields(u))
}

// Format keeps what is secret masked, for every verb.
func (l Login) Format(f fmt.State, verb rune) {
	type fields Login
	byFields(f, verb, fields(l))
}

// Format keeps what is secret masked, for every verb.
func (v Session) Format(f fmt.State, verb rune) {
	type fields Session
	byFields(f, verb, fields(v))
}

// Format keeps what is secret masked, for every verb.
func (v Tokens) Format(f fmt.State, verb rune) {
	type fields Tokens
	byFields(f, verb, fields(v))
}

// Format keeps what is secret masked, for every verb.
func (v Message) Format(f fmt.State, verb rune) {
	type fields Message
	byFields(f, verb, fields(v))
}

// Format prints String's answer for every verb and flag.
func (id Identifier) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, id.String()) }

// MarshalText returns what Format prints, so that JSON holds nothing of the key.
func (k RecordKey) MarshalText() ([]byte, error) { return fmt.Append(nil, k), nil }

// LogValue makes log/slog print what Format prints.
func (k RecordKey) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(k)) }

// MarshalText returns what Format prints, so that JSON holds nothing of the key.
func (k SigningKey) MarshalText() ([]byte, error) { return fmt.Append(nil, k), nil }

// LogValue makes log/slog print what Format prints.
func (k SigningKey) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(k)) }
