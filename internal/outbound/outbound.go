// Package outbound makes the HTTP requests that the library sends into the world.
//
// It has no filter of addresses. The URLs are configuration, a private network is where many of them rightly point, and
// a name checked by its address may have another one when it is dialled. What keeps a request where it was sent is that
// the certificate must be one for its host, and that no redirect is followed. So a URL must never come from a request,
// nor from people who are not trusted with the configuration.
package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
)

// Why a document could not be had. The errors hold nothing of what the other side said, nor the URL. The errors of a
// context that ended are its own.
var (
	// ErrURL: neither https nor http on a loopback host.
	ErrURL = errors.New("not an https URL (http on loopback only)")
	// ErrConnect: the host was not found, refused, or was not there in time.
	ErrConnect = errors.New("no connection")
	// ErrCertificate: the host's certificate is not to be trusted.
	ErrCertificate = errors.New("certificate not accepted")
	// ErrAnswer: no whole answer in HTTP.
	ErrAnswer = errors.New("no proper answer")
	// ErrStatus: another status than 200, redirects included.
	ErrStatus = errors.New("status is not 200")
	// ErrTooLarge: more than the caller takes.
	ErrTooLarge = errors.New("answer too large")
)

// A Client makes requests. It keeps no connection open and no cookies, and is safe for concurrent use.
type Client struct {
	http http.Client
}

// New returns a Client. The environment may name a proxy, as net/http has it.
func New() *Client {
	return &Client{http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true, // a connection that is kept is kept by a goroutine
			DisableCompression:     true, // the size that is limited is the size that is sent
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Document gets a small document: the body of an answer with status 200, of limit bytes at most. The context bounds the
// time of it all. Errors: those above, and of the context; none is wrapped.
func (c *Client) Document(ctx context.Context, address, accept string, limit int64) ([]byte, error) {
	if !allowed(address) {
		return nil, ErrURL
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, ErrURL
	}
	req.Header.Set("Accept", accept)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, why(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, ErrStatus
	}
	return read(ctx, res.Body, limit)
}

// read reads one byte more than it takes, to tell a document that fits from one that was cut.
func read(ctx context.Context, body io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	switch {
	case err != nil:
		return nil, why(ctx, err)
	case int64(len(b)) > limit:
		return nil, ErrTooLarge
	}
	return b, nil
}

// allowed reports whether a request may go to the address.
func allowed(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// why names the kind of an error, whose text may hold what the other side sent.
func why(ctx context.Context, err error) error {
	var (
		certificate *tls.CertificateVerificationError
		network     *net.OpError
	)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &certificate):
		return ErrCertificate
	case errors.As(err, &network) && network.Op == "dial":
		return ErrConnect
	}
	return ErrAnswer
}
