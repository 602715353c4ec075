// The package auth0-js in Chromium, at the origin of the demo's browser application: a smoke test of what
// jsdom cannot know.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

import { Chromium } from './chromium.mjs';
import { callback, claims, code, domain, issuer, message, newEmail, run } from './harness.mjs';

const origin = new URL(callback).origin;
const script = readFileSync(createRequire(import.meta.url).resolve('auth0-js/dist/auth0.min.js'));

/** Serves the application: the same page at every path. */
const application = createServer((request, response) => {
  if (request.url === '/auth0.js') {
    response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(script);
    return;
  }
  response.writeHead(200, { 'Content-Type': 'text/html' }).end(`<!doctype html><title>App</title><script src="/auth0.js"></script><script>
    const web = new auth0.WebAuth({ domain: ${JSON.stringify(domain)}, clientID: 'demo-spa', redirectUri: ${JSON.stringify(callback)}, responseType: 'code' });
    const told = (call) => new Promise((resolve, reject) => call((error, value) =>
      error ? reject(new Error(error.statusCode + ' ' + error.description)) : resolve(value)));
    const start = (options) => told((done) => web.passwordlessStart({ connection: 'email', ...options }, done));
    const token = async (options) => {
      const tokens = await told((done) => web.client.oauthToken({ scope: 'openid email', ...options }, done));
      await told((done) => web.validateToken(tokens.idToken, undefined, done));
      return tokens;
    };
  </script>`);
});

application.listen(0, '127.0.0.1');
await once(application, 'listening');
const browser = await Chromium.start(process.env.CHROMIUM, { [new URL(origin).host]: application.address().port });
const call = (name, options) => browser.evaluate(`${name}(${JSON.stringify(options)})`);

await run({
  'code by e-mail': async () => {
    const email = newEmail();
    await browser.go(origin);
    await call('start', { send: 'code', email });
    const grantType = 'http://auth0.com/oauth/grant-type/passwordless/otp';
    const { idToken } = await call('token', { grantType, realm: 'email', username: email, otp: await code(email) });
    assert.equal(claims(idToken).email, email);
  },

  'wrong code': async () => {
    await browser.go(origin);
    const grantType = 'http://auth0.com/oauth/grant-type/passwordless/otp';
    await assert.rejects(call('token', { grantType, realm: 'email', username: newEmail(), otp: '123456' }), /403 Wrong email or verification code\./);
  },

  'link to the callback': async () => {
    const email = newEmail();
    const { codeVerifier, ...challenge } = pkce();
    await browser.go(origin);
    await call('start', { send: 'link', email, authParams: { scope: 'openid email', state: 'xyz', ...challenge } });
    await browser.go((await message(email)).link);
    await confirm(email, codeVerifier);
  },

  'verify_redirect ends what verify began': async () => {
    const email = newEmail();
    const { codeVerifier, ...challenge } = pkce();
    await browser.go(origin);
    await call('start', { send: 'code', email });
    const options = { connection: 'email', email, verificationCode: await code(email), scope: 'openid email', state: 'xyz', ...challenge };
    await browser.evaluate(`web.passwordlessVerify(${JSON.stringify(options)}, (error) => { document.body.textContent = error.description }), undefined`);
    await confirm(email, codeVerifier);
  },
});

await browser.close();
application.close();

function pkce() {
  const codeVerifier = randomBytes(32).toString('base64url');
  return { codeVerifier, code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'), code_challenge_method: 'S256' };
}

/** Presses the button of the server's page, which leads back to the application, and signs in with what that is given. */
async function confirm(email, codeVerifier) {
  await browser.until(`location.origin + '/' === ${JSON.stringify(issuer)} && document.querySelector('form[method=post] button') !== null`);
  await browser.evaluate(`document.querySelector('form[method=post] button').click()`);
  await browser.until(`location.origin === ${JSON.stringify(origin)} && document.readyState === 'complete'`);
  const back = new URL(await browser.evaluate('location.href'));
  assert.equal(back.origin + back.pathname, callback);
  assert.equal(back.searchParams.get('state'), 'xyz');
  assert.equal(back.searchParams.get('iss'), issuer);
  const { idToken } = await call('token', { grantType: 'authorization_code', code: back.searchParams.get('code'), redirectUri: callback, codeVerifier });
  assert.equal(claims(idToken).email, email);
}
