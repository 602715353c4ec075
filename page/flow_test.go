package page_test

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/page"
)

const alice = "alice@example.com"

func TestCodeSignsInAndGoesWhereItWasGoing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()

	to := b.get("/account?tab=1").wants(t, http.StatusSeeOther).Header.Get("Location")
	form := b.get(to).wants(t, http.StatusOK)
	b.submit(form, "/auth/", url.Values{"address": {" Alice@Example.com "}}).leadsTo(t, "/auth/code")
	waiting := b.get("/auth/code").wants(t, http.StatusOK).has(t, "a***@example.com")
	if strings.Contains(waiting.body, "alice@") {
		t.Error("the page shows the whole address")
	}
	done := b.enter(waiting, w.box.last(t).Code.Reveal()).leadsTo(t, "/account?tab=1")
	if _, ok := done.sets("-session"); !ok {
		t.Error("no session cookie")
	}
	b.get("/account").wants(t, http.StatusOK).has(t, "account of ")
	if b.cookie("-flow") != "" || b.cookie("-browser") != "" {
		t.Error("cookies from before the login are kept")
	}
	if b.cookie("-device") == "" {
		t.Error("no device cookie")
	}
}

func TestTypedCodeMayHaveSpaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	waiting := b.start(alice, "")
	code := w.box.last(t).Code.Reveal()
	b.enter(waiting, " "+code[:3]+" - "+code[3:]).leadsTo(t, "/home")
}

func TestKnownDeviceIsRecognised(t *testing.T) {
	t.Parallel()
	var known []bool
	w := newWorld(t, nil, func(o *page.Options) {
		o.OnLogin = func(w http.ResponseWriter, _ *http.Request, l passwordless.Login) {
			known = append(known, l.KnownDevice)
			w.WriteHeader(http.StatusNoContent)
		}
	})
	b := w.browser()
	for range 2 {
		waiting := b.start(alice, "")
		b.enter(waiting, w.box.last(t).Code.Reveal()).wants(t, http.StatusNoContent)
		w.clock.move(10 * time.Minute)
	}
	if known[0] || !known[1] {
		t.Errorf("known device: %v, want false, then true", known)
	}
}

func TestPhoneNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, func(o *page.Options) {
		o.Channels = []passwordless.Channel{passwordless.Email, passwordless.SMS}
		o.Send = passwordless.SendBoth
	})
	b := w.browser()
	b.get("/auth/?next=%2Faccount").has(t, `href="/auth/?channel=sms&next=%2faccount"`)
	form := b.get("/auth/?channel=sms&next=%2Faccount").has(t, `type="tel"`)
	b.submit(form, "/auth/", url.Values{"address": {"+47 400 00 011"}}).leadsTo(t, "/auth/code")
	waiting := b.get("/auth/code").has(t, "***11")
	if w.box.last(t).Link != "" {
		t.Error("a text message has a link")
	}
	b.enter(waiting, w.box.last(t).Code.Reveal()).leadsTo(t, "/account")
}

func TestChannelThatIsNotOfferedIsNotUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	form := b.get("/auth/?channel=sms").wants(t, http.StatusOK).has(t, `type="email"`)
	b.submit(form, "/auth/", url.Values{"address": {"+4740000011"}, "channel": {"sms"}}).wants(t, http.StatusUnprocessableEntity)
	if w.box.count() != 0 {
		t.Error("something was sent")
	}
}

func TestWrongAddressIsSaidAndKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	for _, typed := range []string{
		"", "alice", "alice@", "a@b@c", "<script>alert(1)</script>@x.example", `"><img src=x>@example.com`,
		strings.Repeat("a", 400) + "@example.com",
	} {
		form := b.get("/auth/?next=/account")
		again := b.submit(form, "/auth/", url.Values{"address": {typed}}).wants(t, http.StatusUnprocessableEntity)
		again.has(t, "We cannot send to that e-mail address")
		if strings.Contains(again.body, "<script") || strings.Contains(again.body, "<img") {
			t.Errorf("%q is not escaped", typed)
		}
		if got := again.form(t, "/auth/", nil); got.Get("address") != typed || got.Get("next") != "/account" {
			t.Errorf("the form forgot what was typed: %v", got)
		}
	}
	if w.box.count() != 0 {
		t.Error("something was sent")
	}
}

// wrong is another code of six digits.
func wrong(code string) string {
	n, _ := strconv.Atoi(code)
	return strconv.Itoa((n+1)%900000 + 100000)
}

// refusals are ways to a code that is refused.
func refusals(t *testing.T) map[string]func(w *world, b *browser, waiting answer) answer {
	cases := map[string]func(w *world, b *browser, waiting answer) answer{
		"wrong": func(w *world, b *browser, waiting answer) answer {
			return b.enter(waiting, wrong(w.box.last(t).Code.Reveal()))
		},
		"malformed": func(_ *world, b *browser, waiting answer) answer { return b.enter(waiting, "what?") },
		"empty":     func(_ *world, b *browser, waiting answer) answer { return b.enter(waiting, "") },
		"expired": func(w *world, b *browser, waiting answer) answer {
			w.clock.move(11 * time.Minute)
			return b.enter(waiting, w.box.last(t).Code.Reveal())
		},
		"exhausted": func(w *world, b *browser, waiting answer) answer {
			code := w.box.last(t).Code.Reveal()
			for range 5 {
				b.enter(waiting, wrong(code)).wants(t, http.StatusUnprocessableEntity)
			}
			return b.enter(waiting, code)
		},
		"used": func(w *world, b *browser, waiting answer) answer {
			flow, cookie := b.cookie("-flow"), b.cookie("-browser")
			code := w.box.last(t).Code.Reveal()
			b.enter(waiting, code).wants(t, http.StatusSeeOther)
			b.plant("__Host-passwordless-flow", flow)
			b.plant("__Host-passwordless-browser", cookie)
			return b.enter(waiting, code)
		},
		"unknown": func(w *world, b *browser, waiting answer) answer {
			_, rest, _ := strings.Cut(b.cookie("-flow"), ".")
			b.plant("__Host-passwordless-flow", strings.Repeat("A", 43)+"."+rest)
			return b.enter(waiting, w.box.last(t).Code.Reveal())
		},
		"cancelled": func(w *world, b *browser, waiting answer) answer {
			token := passwordless.Secret(strings.SplitN(w.box.last(t).Cancel.Reveal(), "t=", 2)[1])
			if err := w.svc.Cancel(t.Context(), w.as("", passwordless.Caller{IP: loopback}), token); err != nil {
				t.Fatal(err)
			}
			return b.enter(waiting, w.box.last(t).Code.Reveal())
		},
		"revoked": func(w *world, b *browser, waiting answer) answer {
			u, err := w.svc.Directory().Add(t.Context(), "", passwordless.User{Email: alice})
			if err = errors.Join(err, w.svc.RevokeUser(t.Context(), "", u.ID)); err != nil {
				t.Fatal(err)
			}
			return b.enter(waiting, w.box.last(t).Code.Reveal())
		},
	}
	for name, status := range map[string]passwordless.UserStatus{
		"locked": passwordless.UserLocked, "expired account": passwordless.UserExpired, "blocked": passwordless.UserBlocked,
	} {
		cases[name] = func(w *world, b *browser, waiting answer) answer {
			if _, err := w.svc.Directory().Add(t.Context(), "", passwordless.User{Email: alice, Status: status}); err != nil {
				t.Fatal(err)
			}
			return b.enter(waiting, w.box.last(t).Code.Reveal())
		}
	}
	return cases
}

// Wrong, malformed, used up, expired, cancelled, revoked and unknown codes, and codes of accounts that may not sign in,
// are one answer.
func TestRefusedCodesLookAlike(t *testing.T) {
	t.Parallel()
	var first, name string
	for n, refuse := range refusals(t) {
		w := newWorld(t, nil, nil)
		b := w.browser()
		a := refuse(w, b, b.start(alice, "")).wants(t, http.StatusUnprocessableEntity)
		if _, ok := a.sets("-session"); ok {
			t.Errorf("%s: a session", n)
		}
		if first == "" {
			first, name = masked(a.body), n
		}
		if masked(a.body) != first {
			t.Errorf("%s differs from %s:\n%s\n%s", n, name, a.body, first)
		}
	}
}

// Where sign-up is closed, addresses that somebody has and that nobody has are one answer, even when the transport fails.
func TestStartsLookAlike(t *testing.T) {
	t.Parallel()
	closed := func(c *passwordless.Config) {
		list := c.Clients.(passwordless.ClientList)
		list[0].ClosedSignUp = true
	}
	w := newWorld(t, closed, nil)
	id := passwordless.Identifier{Channel: passwordless.Email, Address: alice}
	if _, err := w.svc.Directory().Create(t.Context(), "", id); err != nil {
		t.Fatal(err)
	}
	look := func(address string) string {
		b := w.browser()
		form := b.get("/auth/")
		a := b.submit(form, "/auth/", url.Values{"address": {address}})
		shapes := []string{a.Status, a.Header.Get("Location"), a.body}
		for _, c := range a.Cookies() {
			shapes = append(shapes, c.Name, strconv.Itoa(len(c.Value)))
		}
		return strings.Join(shapes, "|") + masked(b.get("/auth/code").body)
	}
	known, unknown := look(alice), look("adams@example.com")
	if known != unknown {
		t.Errorf("known and unknown differ:\n%s\n%s", known, unknown)
	}
	if w.box.count() != 1 {
		t.Fatalf("%d messages, want 1", w.box.count())
	}
	w.box.fail = errors.New("no route")
	w.clock.move(time.Hour)
	if failed := look(alice); failed != known {
		t.Errorf("a failed transport shows:\n%s\n%s", failed, known)
	}
}

func TestMessageThatCannotBeSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	form := b.get("/auth/")
	w.box.fail = passwordless.ErrNotAccepted
	again := b.submit(form, "/auth/", url.Values{"address": {alice}})
	again.wants(t, http.StatusServiceUnavailable).has(t, "could not be sent")
	if again.form(t, "/auth/", nil).Get("address") != alice || b.cookie("-flow") != "" {
		t.Error("the form forgot the address, or the flow goes on")
	}
	w.box.fail = errors.New("no answer from mail.internal")
	b.submit(again, "/auth/", url.Values{"address": {alice}}).leadsTo(t, "/auth/code")
	waiting := b.get("/auth/code")
	w.clock.move(31 * time.Second)
	w.box.fail = passwordless.ErrNotAccepted
	b.submit(waiting, "/auth/resend", nil).leadsTo(t, "/auth/code?resend=failed")
	failed := b.get("/auth/code?resend=failed").has(t, "could not be sent")
	if strings.Contains(failed.body, "internal") {
		t.Error("the transport's error is shown")
	}
	if w.errs.count() != 3 {
		t.Errorf("OnError heard %d times, want 3", w.errs.count())
	}
}

func TestDoubleSubmitIsOneMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	form := b.get("/auth/")
	for range 2 {
		b.submit(form, "/auth/", url.Values{"address": {alice}}).leadsTo(t, "/auth/code")
	}
	if w.box.count() != 1 {
		t.Fatalf("%d messages", w.box.count())
	}
	b.enter(b.get("/auth/code"), w.box.last(t).Code.Reveal()).leadsTo(t, "/home")
}

func TestResend(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	waiting := b.start(alice, "")

	b.submit(waiting, "/auth/resend", nil).leadsTo(t, "/auth/code?resend=wait")
	b.get("/auth/code?resend=wait").has(t, "Wait a little")
	w.clock.move(31 * time.Second)
	b.submit(waiting, "/auth/resend", nil).leadsTo(t, "/auth/code?resend=sent")
	b.get("/auth/code?resend=sent").has(t, "on its way again")
	if w.box.count() != 2 {
		t.Fatalf("%d messages, want 2", w.box.count())
	}
	w.clock.move(time.Hour)
	b.submit(waiting, "/auth/resend", nil).wants(t, http.StatusNotFound).has(t, "Start again")
}

func TestCodeWithoutAFlowBeginsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	b.get("/auth/code").leadsTo(t, "/auth/")
	form := b.get("/auth/").form(t, "/auth/", nil)
	for _, flow := range []string{"", "x", "a.b", "a.email.*", ".email.eA", "a.b.c.d"} {
		b.plant("__Host-passwordless-flow", flow)
		b.get("/auth/code").leadsTo(t, "/auth/")
		b.do("POST", "/auth/code", url.Values{"nonce": form["nonce"], "code": {"123456"}}, nil).leadsTo(t, "/auth/")
		b.do("POST", "/auth/resend", url.Values{"nonce": form["nonce"]}, nil).leadsTo(t, "/auth/")
	}
}

func TestLimitsAre429(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.Limits.Guesses = passwordless.Limit{Count: 2, Per: 5 * time.Minute}
		c.Policy.Limits.Starts = []passwordless.Limit{{Count: 2, Per: 10 * time.Minute}}
	}, nil)
	b := w.browser()
	waiting := b.start(alice, "")
	b.enter(waiting, "what?").wants(t, http.StatusUnprocessableEntity) // half of the limit
	a := b.enter(waiting, "what?").wants(t, http.StatusTooManyRequests).has(t, "Too many tries")
	if a.Header.Get("Retry-After") != "300" {
		t.Errorf("Retry-After %q, want a coarse 300", a.Header.Get("Retry-After"))
	}

	form := b.get("/auth/")
	b.submit(form, "/auth/", url.Values{"address": {"bob@example.com"}}).leadsTo(t, "/auth/code")
	a = b.submit(form, "/auth/", url.Values{"address": {"carol@example.com"}}).wants(t, http.StatusTooManyRequests)
	if a.Header.Get("Retry-After") != "300" || w.box.count() != 2 {
		t.Errorf("Retry-After %q, %d messages", a.Header.Get("Retry-After"), w.box.count())
	}
}

func TestFailingStoreIs503AndNeverALogin(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]error{
		"unavailable": passwordless.ErrUnavailable, "uncertain": passwordless.ErrUncertain,
		"anything": errors.New("dial tcp 10.1.2.3: boom"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, func(o *page.Options) { o.Send = passwordless.SendBoth })
			b := w.browser()
			b.signIn(w, "bob@example.com")
			waiting := b.start(alice, "")
			m := w.box.last(t)
			form := b.get("/auth/")
			link := b.get(path(t, m.Link)).wants(t, http.StatusOK)
			out := b.get("/auth/sign-out").wants(t, http.StatusOK)

			w.store.set(func() error { return fault })
			for what, a := range map[string]answer{
				"start":    b.submit(form, "/auth/", url.Values{"address": {"carol@example.com"}}),
				"code":     b.enter(waiting, m.Code.Reveal()),
				"resend":   b.submit(waiting, "/auth/resend", nil),
				"link":     b.get(path(t, m.Link)),
				"redeem":   b.submit(link, "/auth/link", nil),
				"cancel":   b.get(path(t, m.Cancel)),
				"account":  b.get("/account"),
				"sign-out": b.submit(out, "/auth/sign-out", nil),
			} {
				if a.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("%s: status %d", what, a.StatusCode)
				}
				if _, ok := a.sets("-session"); ok {
					t.Errorf("%s: a session", what)
				}
				if strings.Contains(a.body, "boom") || strings.Contains(a.body, "passwordless:") {
					t.Errorf("%s: the text of the error is shown", what)
				}
			}
			w.store.set(nil)
			b.get("/account").wants(t, http.StatusOK)
			b.enter(waiting, m.Code.Reveal()).leadsTo(t, "/home")
		})
	}
}

func TestPanicIs500WithoutSecretsAndCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	waiting := b.start(alice, "")
	w.store.set(func() error { panic("secret of the driver") })
	a := b.enter(waiting, w.box.last(t).Code.Reveal()).wants(t, http.StatusInternalServerError)
	if strings.Contains(a.body, "secret") || len(a.Cookies()) != 0 {
		t.Errorf("%v %s", a.Cookies(), a.body)
	}
	if w.errs.count() != 1 {
		t.Errorf("OnError heard %d times", w.errs.count())
	}
}

func TestUnreadableFormsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	form := b.get("/auth/").form(t, "/auth/", url.Values{"address": {alice}})
	post := func(query, body, media string) answer {
		return b.do("POST", "/auth/"+query, nil, func(r *http.Request) {
			r.Body = readCloser(body)
			r.ContentLength = int64(len(body))
			r.Header.Set("Content-Type", media)
		})
	}
	const media = "application/x-www-form-urlencoded"
	for name, row := range map[string]struct {
		query, body, media string
		want               int
	}{
		"too long":                 {"", form.Encode() + "&x=" + strings.Repeat("a", 9<<10), media, http.StatusRequestEntityTooLarge},
		"field twice":              {"", form.Encode() + "&address=bob%40example.com", media, http.StatusBadRequest},
		"field in the query too":   {"?address=bob%40example.com", form.Encode(), media, http.StatusBadRequest},
		"not UTF-8":                {"", form.Encode() + "&x=%ff", media, http.StatusBadRequest},
		"JSON":                     {"", "{}", "application/json", http.StatusUnsupportedMediaType},
		"plain text":               {"", form.Encode(), "text/plain", http.StatusUnsupportedMediaType},
		"multipart":                {"", form.Encode(), "multipart/form-data; boundary=x", http.StatusUnsupportedMediaType},
		"everything in the query ": {"?" + form.Encode(), "", media, http.StatusForbidden},
	} {
		if a := post(row.query, row.body, row.media); a.StatusCode != row.want {
			t.Errorf("%s: status %d, want %d", name, a.StatusCode, row.want)
		}
	}
	if w.box.count() != 0 {
		t.Error("something was sent")
	}
}
