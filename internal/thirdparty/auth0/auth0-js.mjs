// The package auth0-js in a page of jsdom, whose XMLHttpRequest asks for permission as browsers' do (CORS).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { JSDOM } from 'jsdom';

import { Browser } from './browser.mjs';
import { callback, claims, code, domain, messages, newEmail, rejection, run, wrong } from './harness.mjs';
import { came, codes, limits, links, problems, refreshes, refused, scope } from './rules.mjs';

const otp = 'http://auth0.com/oauth/grant-type/passwordless/otp';
const require = createRequire(import.meta.url);
const sources = ['unfetch/dist/unfetch.umd.js', 'auth0-js/dist/auth0.js'].map((name) => readFileSync(require.resolve(name), 'utf8'));

/** auth0-js in a page of an origin. jsdom has no fetch; unfetch makes one of its XMLHttpRequest. */
function page(origin, clientID = 'demo-spa') {
  const { window } = new JSDOM('', { url: origin + '/', runScripts: 'outside-only' });
  for (const source of sources) {
    window.eval(source);
  }
  window.fetch = window.unfetch;
  return new window.auth0.WebAuth({ domain, clientID, redirectUri: callback, responseType: 'code' });
}

/** The promise of what a callback is told. */
const told = (call) =>
  new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value)));
  });

const adapter = (web) => {
  // A browser's application has no other way: /co/authenticate leads to /authorize, which the server does not have.
  const token = async (options) => {
    const tokens = await told((done) => web.client.oauthToken(options, done));
    if (tokens.idToken) {
      await told((done) => web.validateToken(tokens.idToken, undefined, done));
    }
    return tokens;
  };
  const start = (options) => told((done) => web.passwordlessStart(options, done));
  return {
    clientId: 'demo-spa',
    startEmail: (email) => start({ connection: 'email', send: 'code', email }),
    startSMS: (phoneNumber) => start({ connection: 'sms', send: 'code', phoneNumber }),
    // Under its wire name auth0-js would replace the URI by the page's own.
    startLink: (email, { redirect_uri: redirectUri, ...others }) =>
      start({ connection: 'email', send: 'link', email, authParams: { redirectUri, ...others } }),
    loginEmail: (username, code, scope) => token({ grantType: otp, realm: 'email', username, otp: code, scope }),
    loginSMS: (username, code, scope) => token({ grantType: otp, realm: 'sms', username, otp: code, scope }),
    refresh: (refreshToken) => token({ grantType: 'refresh_token', refreshToken }),
    exchange: (back) =>
      token({
        grantType: 'authorization_code',
        code: back.searchParams.get('code'),
        redirectUri: back.origin + back.pathname,
      }),
    problem: (error) => ({
      status: error.statusCode,
      error: error.code,
      description: error.description,
      headers: new Headers(error.original.response?.headers), // those that the page may see
    }),
    start,
  };
};

const web = page('http://localhost:3000');
const sdk = adapter(web);

/** passwordlessVerify up to where it would leave the page. */
const verify = (email, verificationCode) =>
  new Promise((resolve, reject) => {
    web.passwordlessVerify({ connection: 'email', email, verificationCode, onRedirecting: () => resolve() }, reject);
  });

await run({
  ...codes(sdk),
  ...refreshes(sdk),
  ...limits(sdk),
  ...links(sdk),

  'the answer to a start': async () => {
    const email = newEmail();
    const answer = await sdk.start({ connection: 'email', send: 'code', email: ` ${email} ` }); // which auth0-js trims
    assert.deepEqual(Object.keys(answer).sort(), ['Id', 'email', 'emailVerified']);
    assert.match(answer.Id, /^[0-9a-f]{24}$/);
    assert.equal(answer.email, email);
    assert.equal(answer.emailVerified, false);
  },

  'the language is the message\'s': async () => {
    const email = newEmail();
    await sdk.start({ connection: 'email', send: 'code', email, xRequestLanguage: 'sv-SE' });
    assert.match((await messages(email))[0].locale, /^sv/);
  },

  'verify checks a code and leaves it': async () => {
    const email = newEmail();
    await sdk.startEmail(email);
    const right = await code(email);
    const error = await rejection(verify(email, wrong(right)));
    assert.ok(error.statusCode >= 400 && error.statusCode < 500, `status ${error.statusCode}`);
    assert.equal(error.description, problems.email.description);
    await verify(email, right);
    await sdk.loginEmail(email, right, scope);
  },

  'verify_redirect ends what verify began': async () => {
    const email = newEmail();
    const state = 'xyz';
    await sdk.startEmail(email);
    const options = { connection: 'email', email, verificationCode: await code(email), state, responseType: 'code', scope: 'openid email' };
    await verify(email, options.verificationCode);
    const browser = new Browser();
    const back = came(await browser.submit(await browser.get(web.client.passwordless.buildVerifyUrl(options))), state);
    assert.equal(claims((await sdk.exchange(back)).idToken).email, email);
  },

  'an address that is none': async () => {
    await refused(sdk, sdk.startEmail('nobody'), {
      status: 400, error: 'bad.email', description: 'error in email - email format validation failed: nobody',
    });
  },

  'a page of an unknown origin is told nothing': async () => {
    const other = adapter(page('https://evil.example'));
    const email = newEmail();
    for (const call of [() => other.startEmail(email), () => other.loginEmail(email, '123456', scope)]) {
      const error = await rejection(call());
      assert.equal(error.statusCode, undefined);
      assert.equal(error.original.crossDomain, true);
    }
    assert.equal((await messages(email)).length, 0); // the preflight failed, so nothing was asked
  },
});
