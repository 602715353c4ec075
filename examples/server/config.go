package main

import (
	"bytes"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/seed62b93bad/passwordless"
)

// readWorld reads the file of -config: a world as a JSON object. Members are named as the fields of
// world, and of the types of package passwordless in it, in lower case with underscores: Client.Codes.EmailLife is email_life
// in codes. Durations are text ("3m"), choices words ("one_time"), client secrets the SHA-256 of what clients send, in hex,
// and a key for HS256 text, whose bytes are the key. Its error tells every mistake of the file at once; what a Service would
// refuse, passwordless.New tells.
func readWorld(path string) (world, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return world{}, fmt.Errorf("-config: %w", err)
	}
	var w world
	var d decoder
	if err := oneValue(text); err != nil {
		d.fail("the file", err)
	} else {
		d.value("", text, reflect.ValueOf(&w).Elem())
		d.errs = append(d.errs, w.mistakes()...)
	}
	if len(d.errs) > 0 {
		return world{}, fmt.Errorf("-config: %s:\n%w", path, errors.Join(d.errs...))
	}
	return w, nil
}

// oneValue refuses text that is not one JSON value with nothing behind it.
func oneValue(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	err := decoder.Decode(new(json.RawMessage))
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case errors.As(err, &syntax):
		return fmt.Errorf("%w, near byte %d", err, syntax.Offset)
	case err != nil:
		return err
	}
	return atEnd(decoder)
}

// atEnd refuses what is behind the value that was decoded: whoever wrote it meant something by it.
func atEnd(decoder *json.Decoder) error {
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("more than one value, near byte %d", decoder.InputOffset())
	}
	return nil
}

// A decoder fills values from JSON. Unlike encoding/json it knows no member that has no field and no second
// one of a name, and goes on after a mistake.
type decoder struct {
	errs []error
}

func (d *decoder) fail(path string, err error) {
	d.errs = append(d.errs, fmt.Errorf("%s: %w", path, err))
}

// value decodes whatever belongs into v.
func (d *decoder) value(path string, raw json.RawMessage, v reflect.Value) {
	switch to := v.Addr().Interface().(type) {
	case *time.Duration:
		d.text(path, raw, func(s string) (err error) { *to, err = time.ParseDuration(s); return err })
	case *passwordless.SecretHash:
		d.text(path, raw, func(s string) error { return decodeHash(to, s) })
	case *passwordless.SecretBytes:
		d.text(path, raw, func(s string) error { *to = passwordless.SecretBytes(s); return nil })
	case *passwordless.RefreshUsage:
		d.text(path, raw, choose(to, named(memberOf, passwordless.OneTime, passwordless.Reusable)))
	case *passwordless.ExpiryPolicy:
		d.text(path, raw, choose(to, named(memberOf, passwordless.SlidingToMaximum, passwordless.FixedExpiry, passwordless.Sliding)))
	case *passwordless.UserStatus:
		d.text(path, raw, choose(to, named(fmt.Sprint, passwordless.UserActive, passwordless.UserLocked, passwordless.UserExpired,
			passwordless.UserBlocked)))
	case encoding.TextUnmarshaler:
		d.text(path, raw, func(s string) error { return to.UnmarshalText([]byte(s)) })
	default:
		d.composite(path, raw, v)
	}
}

// composite decodes objects, maps and lists, and leaves the rest to encoding/json.
func (d *decoder) composite(path string, raw json.RawMessage, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		d.object(path, raw, v)
	case reflect.Map:
		d.dictionary(path, raw, v)
	case reflect.Slice:
		d.list(path, raw, v)
	default:
		if err := json.Unmarshal(raw, v.Addr().Interface()); err != nil || string(raw) == "null" {
			d.fail(path, fmt.Errorf("want a %s", v.Kind()))
		}
	}
}

func (d *decoder) text(path string, raw json.RawMessage, set func(string) error) {
	var s *string
	err := json.Unmarshal(raw, &s)
	if err != nil || s == nil {
		err = errors.New("want text")
	} else {
		err = set(*s)
	}
	if err != nil {
		d.fail(path, err)
	}
}

func (d *decoder) list(path string, raw json.RawMessage, v reflect.Value) {
	var all []json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil || all == nil {
		d.fail(path, errors.New("want a list"))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(all), len(all)))
	for i, raw := range all {
		d.value(fmt.Sprintf("%s[%d]", path, i), raw, v.Index(i))
	}
}

func (d *decoder) object(path string, raw json.RawMessage, v reflect.Value) {
	fields := map[string]reflect.Value{}
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.IsExported() && !f.Anonymous {
			fields[memberName(f.Name)] = v.FieldByIndex(f.Index)
		}
	}
	d.members(path, raw, func(at, name string, raw json.RawMessage) {
		if field, ok := fields[name]; ok {
			d.value(at, raw, field)
		} else {
			d.fail(at, errors.New("there is no such member"))
		}
	})
}

// dictionary decodes an object whose names are data. v is a map from strings.
func (d *decoder) dictionary(path string, raw json.RawMessage, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	d.members(path, raw, func(at, name string, raw json.RawMessage) {
		key, element := reflect.New(v.Type().Key()), reflect.New(v.Type().Elem()).Elem()
		d.value(at, raw, element)
		switch key.Elem().Kind() {
		case reflect.String:
			key.Elem().SetString(name)
		default: // a number, as names of members are written
			if err := json.Unmarshal([]byte(name), key.Interface()); err != nil {
				d.fail(at, errors.New("want a number for a name"))
				return
			}
		}
		v.SetMapIndex(key.Elem(), element)
	})
}

// members hands the members of an object to use, each with its path. encoding/json would let the last of
// one name win, and a reader of the file may have seen another: every further one is a mistake.
func (d *decoder) members(path string, raw json.RawMessage, use func(at, name string, raw json.RawMessage)) {
	tokens := json.NewDecoder(bytes.NewReader(raw))
	if begin, err := tokens.Token(); err != nil || begin != json.Delim('{') {
		d.fail(strings.TrimPrefix(path+", the value", ", "), errors.New("want an object"))
		return
	}
	seen := map[string]bool{}
	for tokens.More() {
		token, err := tokens.Token()
		name, _ := token.(string)
		at := strings.TrimPrefix(path+"."+name, ".")
		var value json.RawMessage
		if err = errors.Join(err, tokens.Decode(&value)); err != nil {
			d.fail(at, err)
			return
		}
		if seen[name] {
			d.fail(at, errors.New("there is more than one member of this name"))
			continue
		}
		seen[name] = true
		use(at, name, value)
	}
}

// acronyms are words that would be taken apart before an s, or run into the next.
var acronyms = strings.NewReplacer("URIs", "Uris", "APIs", "Apis", "JWKSURL", "JwksUrl")

// memberName is how a field is called in the file: SMSSends is sms_sends.
func memberName(field string) string {
	var b strings.Builder
	name := []rune(acronyms.Replace(field))
	for i, c := range name {
		begins := unicode.IsUpper(c) && i > 0 &&
			(!unicode.IsUpper(name[i-1]) || i+1 < len(name) && unicode.IsLower(name[i+1]))
		if begins {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

func decodeHash(to *passwordless.SecretHash, s string) error {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(to) {
		return errors.New("want a SHA-256 in 64 hexadecimal digits")
	}
	copy(to[:], raw)
	return nil
}

// choose sets one of a few values by its name.
func choose[T any](to *T, values map[string]T) func(string) error {
	return func(s string) error {
		v, ok := values[s]
		if !ok {
			return fmt.Errorf("want %s", strings.Join(slices.Sorted(maps.Keys(values)), " or "))
		}
		*to = v
		return nil
	}
}

// named are values by their names in the file.
func named[T any](name func(...any) string, values ...T) map[string]T {
	all := map[string]T{}
	for _, v := range values {
		all[name(v)] = v
	}
	return all
}

// memberOf is the name of a value that prints as its constant does.
func memberOf(v ...any) string { return memberName(fmt.Sprint(v...)) }
