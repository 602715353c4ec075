package smtpsender

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/seed62b93bad/passwordless"
)

// ParseURL reads Options from the form that fits a flag or an environment variable:
//
//	smtp://user:password@mail.example.com:587?from=login@example.com
//
// The scheme smtp demands STARTTLS, smtps is TLS from the first byte, and smtp+insecure is plain text, which is
// accepted only to a loopback host. The port may be left out. The query has from, which is required and may hold a
// name, and helo; escape both as in any URL.
//
// Errors do not repeat the URL, which may hold a password.
func ParseURL(raw string) (Options, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Options{}, errors.New("smtpsender: not a URL")
	}
	opts := Options{Host: u.Hostname()}
	switch u.Scheme {
	case "smtp":
	case "smtps":
		opts.ImplicitTLS = true
	case "smtp+insecure":
		opts.InsecurePlaintext = true
		if !loopback(opts.Host) {
			return Options{}, errors.New("smtpsender: smtp+insecure is for loopback hosts only")
		}
	default:
		return Options{}, errors.New("smtpsender: scheme is not smtp, smtps or smtp+insecure")
	}
	if u.Path != "" && u.Path != "/" || u.Fragment != "" || u.Opaque != "" {
		return Options{}, errors.New("smtpsender: URL with a path or fragment")
	}
	if port := u.Port(); port != "" {
		if opts.Port, err = strconv.Atoi(port); err != nil || opts.Port < 1 || opts.Port > 65535 {
			return Options{}, errors.New("smtpsender: port is out of range")
		}
	}
	if u.User != nil {
		password, _ := u.User.Password()
		opts.Username, opts.Password = u.User.Username(), passwordless.Secret(password)
	}
	return opts, opts.parseQuery(u.RawQuery)
}

func (o *Options) parseQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return errors.New("smtpsender: malformed query")
	}
	fields := map[string]*string{"from": &o.From, "helo": &o.HELO}
	for name, values := range query {
		field := fields[name]
		if field == nil || len(values) != 1 {
			return fmt.Errorf("smtpsender: parameter %.20q is unknown or given twice", name)
		}
		*field = values[0]
	}
	if o.From == "" {
		return errors.New("smtpsender: URL without from")
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
