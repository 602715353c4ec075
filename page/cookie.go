package page

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless"
)

var encoding = base64.RawURLEncoding.Strict()

// cookies names the cookies and says how they are set.
//
//	session   the token of our own session; its life is the server's to judge
//	device    Login.Device: that this browser has signed somebody in before
//	browser   32 random bytes from the first form to the login, the key of the nonces and
//	          what links are bound to
//	flow      the challenge whose code is awaited
type cookies struct {
	session, device, browser, flow cookie
}

type cookie struct {
	name   string
	life   time.Duration
	secure bool
}

const (
	deviceLife  = 180 * 24 * time.Hour // as long as the Service knows a device
	browserLife = 24 * time.Hour
	flowLife    = time.Hour
	longestLife = 400 * 24 * time.Hour // of any cookie, to browsers
)

// sessionLife is how long a client's session can last, if it is used.
func sessionLife(c passwordless.Client, p passwordless.SessionPolicy) time.Duration {
	if cmp.Or(c.Sessions.Expiry, p.Expiry) == passwordless.Sliding {
		return longestLife
	}
	return cmp.Or(c.Sessions.Absolute, p.Absolute)
}

// newCookies returns the cookies; the life of our session's is for the client to say.
func newCookies(o Options) cookies {
	prefix := "__Host-"
	if o.InsecureCookies {
		prefix = ""
	}
	named := func(suffix string, life time.Duration) cookie {
		return cookie{prefix + o.CookieName + suffix, life, !o.InsecureCookies}
	}
	return cookies{
		session: named("-session", 0),
		device:  named("-device", deviceLife),
		browser: named("-browser", browserLife),
		flow:    named("-flow", flowLife),
	}
}

func isCookieName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 32
}

// get returns the cookie's value, "" if there is none. Of two with one name neither counts: one of them is somebody else's.
func (c cookie) get(r *http.Request) string {
	all := r.CookiesNamed(c.name)
	if len(all) != 1 || len(all[0].Value) > 1024 {
		return ""
	}
	return all[0].Value
}

func (c cookie) set(w http.ResponseWriter, value string) { c.write(w, value, int(c.life/time.Second)) }

// drop removes the cookie if the browser sent one.
func (c cookie) drop(w http.ResponseWriter, r *http.Request) {
	if len(r.CookiesNamed(c.name)) > 0 {
		c.write(w, "", -1)
	}
}

func (c cookie) write(w http.ResponseWriter, value string, maxAge int) {
	//nolint:gosec // Secure is left out only where InsecureCookies says so.
	http.SetCookie(w, &http.Cookie{Name: c.name, Value: value, Path: "/", MaxAge: maxAge,
		Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// browser returns the value of the browser cookie, "" if it is not one that we could have set.
func (h *Handler) browser(r *http.Request) string {
	v := h.cookies.browser.get(r)
	if !isBrowser(v) {
		return ""
	}
	return v
}

func isBrowser(v string) bool {
	b, err := encoding.DecodeString(v)
	return err == nil && len(b) == sha256.Size
}

// ensureBrowser returns the value of the browser cookie and sets it, anew if there is none.
func (h *Handler) ensureBrowser(w http.ResponseWriter, r *http.Request) string {
	v := h.browser(r)
	if v == "" {
		b := make([]byte, sha256.Size)
		rand.Read(b) // never fails since Go 1.24
		v = encoding.EncodeToString(b)
	}
	h.cookies.browser.set(w, v)
	return v
}

// A flow is the challenge whose code is awaited. It is as the browser sent it: its own business alone, and shown to
// nobody else.
type flow struct {
	handle  passwordless.Secret
	channel passwordless.Channel
	address string // masked
}

func (f flow) encode() string {
	return f.handle.Reveal() + "." + string(f.channel) + "." + encoding.EncodeToString([]byte(f.address))
}

func (h *Handler) flow(r *http.Request) (flow, bool) {
	parts := strings.Split(h.cookies.flow.get(r), ".")
	if len(parts) != 3 {
		return flow{}, false
	}
	address, err := encoding.DecodeString(parts[2])
	f := flow{passwordless.Secret(parts[0]), passwordless.Channel(parts[1]), string(address)}
	return f, err == nil && f.handle != ""
}

// KeepBrowser gives the browser the value of Started.Browser to keep, in the cookie of the pages, so that the link of a
// start that a wire of the pages' host made finishes there. That start's Caller must be Handler.Caller, or the browser
// loses what it has: the forms that it has open, and earlier links. Anything but such a value is not kept.
func (h *Handler) KeepBrowser(w http.ResponseWriter, browser passwordless.Secret) {
	if v := browser.Reveal(); isBrowser(v) {
		h.cookies.browser.set(w, v)
	}
}

// KeepDevice gives the browser the value of Login.Device to keep, in the cookie of the pages. "" is not kept.
func (h *Handler) KeepDevice(w http.ResponseWriter, device passwordless.Secret) {
	if device != "" {
		h.cookies.device.set(w, device.Reveal())
	}
}

// Caller tells the Service where a request came from: its address, by Options.TrustedProxies, and the values of
// KeepBrowser and KeepDevice that it brought; "" for one that it did not, or that is there twice.
func (h *Handler) Caller(r *http.Request) passwordless.Caller {
	h.reportIgnored(r)
	return passwordless.Caller{
		IP:      h.proxies.ClientIP(r),
		Device:  passwordless.Secret(h.cookies.device.get(r)),
		Browser: passwordless.Secret(h.browser(r)),
	}
}

// reportIgnored reports a request that names an address which is not believed.
func (h *Handler) reportIgnored(r *http.Request) {
	if what := h.proxies.Ignored(r); what != "" {
		h.ignored(r.Context(), what)
	}
}

// asker is who asks the Service: the pages, for their client, or for none where what is asked for names it.
func (h *Handler) asker(r *http.Request, client string) (passwordless.Requester, error) {
	return h.svc.Trusted(r.Context(), client, h.Caller(r))
}

// nonce binds a form to a secret cookie of the browser that it was shown to. A page of another origin can make the
// browser send the cookie, but not read it, and so not this.
func nonce(cookie string, form ...string) string {
	mac := hmac.New(sha256.New, []byte(cookie))
	mac.Write([]byte("page nonce\x00" + strings.Join(form, "\x00")))
	return encoding.EncodeToString(mac.Sum(nil))
}

func nonceMatches(given, cookie string, form ...string) bool {
	return hmac.Equal([]byte(given), []byte(nonce(cookie, form...)))
}

// ownOrigin reports whether a POST is not known to come from another origin.
//
// Our pages send no referrer, and therefore browsers from before Sec-Fetch-Site send "Origin: null" with our own forms
// (Fetch, "append a request Origin header"). That says no more than no Origin at all, so then the nonce alone decides.
func (h *Handler) ownOrigin(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "null" {
		return true
	}
	return h.origins.Check(r) == nil
}
