package passwordless

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/seed62b93bad/passwordless/internal/canon"
)

// An Address is an e-mail address or a telephone number: personal data. Printing, marshalling or logging it shows
// enough for its owner to recognise (j***@example.com, ***11), whatever the verb. Convert with Address(s), and with
// string(a) to the text itself. The zero value is none.
type Address string

// String masks the address; "" stays "".
func (a Address) String() string {
	if a == "" {
		return ""
	}
	return canon.Mask(string(a))
}

// Format prints String's answer for every verb and flag.
func (a Address) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// MarshalText returns String's answer, so that JSON, XML and text encodings mask.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// LogValue makes log/slog mask.
func (a Address) LogValue() slog.Value { return slog.StringValue(a.String()) }

// An Identifier is a canonical address on a channel: what ParseIdentifier made of what a person typed. Two spellings of
// one mailbox or number are equal. Messages go to the address and to nothing else.
type Identifier struct {
	Channel Channel
	Address Address
}

// ParseIdentifier returns the canonical form of an address as a person typed it. Its error is an *InputError that does
// not repeat the address.
//
// A telephone number begins with + or 00 and the country calling code. A zero behind that code, as in +44 07911 123456,
// is refused: the country dials it, other countries leave it out. It is accepted where numbers of the country begin with
// a zero, as those of fixed lines in Italy do.
func ParseIdentifier(ch Channel, address Address) (Identifier, error) {
	var canonical string
	var err error
	switch ch {
	case Email:
		canonical, err = canon.Email(string(address))
	case SMS:
		canonical, err = canon.Phone(string(address))
	default:
		return Identifier{}, &InputError{"Channel", "unknown"}
	}
	if err != nil {
		return Identifier{}, &InputError{"Address", ruleOf(err)}
	}
	return Identifier{ch, Address(canonical)}, nil
}

// ruleOf is the rule that a canon.Error names.
func ruleOf(err error) string {
	var broken canon.Error
	if errors.As(err, &broken) {
		return string(broken)
	}
	return fmt.Sprint(err)
}

// String masks the address.
func (id Identifier) String() string { return id.Address.String() }
