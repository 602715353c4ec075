// Clients that authenticate with a key (private_key_jwt), with both SDKs that can.
import assert from 'node:assert/strict';

import { AuthClient } from '@auth0/auth0-auth-js';
import { AuthenticationClient } from 'auth0';

import { code, domain, newEmail, rejection, run } from './harness.mjs';
import { scope } from './rules.mjs';

const clientId = 'with-key';
const { CLIENT_KEY: clientAssertionSigningKey, OTHER_KEY: otherKey } = process.env;

/** A fetch that keeps what it sent. */
const recorder = () => {
  const sent = [];
  const recording = (url, init) => {
    sent.push([String(url), { method: init.method, headers: new Headers(init.headers), body: String(init.body) }]);
    return fetch(url, init);
  };
  return { sent, recording };
};

const node = (key, fetch) => new AuthenticationClient({ domain, clientId, clientAssertionSigningKey: key, fetch });
const authJS = (key, customFetch) => new AuthClient({ domain, clientId, clientAssertionSigningKey: key, customFetch });

/** Sends what was sent to a path again, and fails unless the assertion in it is refused. */
async function replay(sent, path) {
  const [url, init] = sent.findLast(([url]) => new URL(url).pathname === path);
  assert.match(init.body, /client_assertion/);
  const response = await fetch(url, init);
  assert.equal(response.status, 401);
  assert.equal((await response.json()).error, 'invalid_client');
}

await run({
  'auth0: code and refresh': async () => {
    const { sent, recording } = recorder();
    const auth0 = node(clientAssertionSigningKey, recording);
    const to = newEmail();
    await auth0.passwordless.sendEmail({ email: to, send: 'code' });
    await replay(sent, '/passwordless/start');
    const { data } = await auth0.passwordless.loginWithEmail({ email: to, code: await code(to), scope });
    await replay(sent, '/oauth/token');
    const refreshed = await auth0.oauth.refreshTokenGrant({ refresh_token: data.refresh_token });
    assert.ok(refreshed.data.access_token);
  },

  'auth0-auth-js: code and refresh': async () => {
    const { sent, recording } = recorder();
    const auth0 = authJS(clientAssertionSigningKey, recording);
    const to = newEmail();
    await auth0.passwordless.sendEmail({ email: to });
    await replay(sent, '/passwordless/start');
    const { refreshToken } = await auth0.getTokenByPasswordlessEmail({ email: to, code: await code(to), scope });
    await replay(sent, '/oauth/token');
    assert.ok((await auth0.getTokenByRefreshToken({ refreshToken })).accessToken);
  },

  'another key is refused': async () => {
    const { passwordless } = node(otherKey);
    const email = newEmail();
    for (const call of [() => passwordless.sendEmail({ email, send: 'code' }), () => passwordless.loginWithEmail({ email, code: '123456' })]) {
      const error = await rejection(call());
      assert.deepEqual([error.statusCode, error.error], [401, 'invalid_client'], error.stack);
    }
    const error = await rejection(authJS(otherKey).getTokenByPasswordlessEmail({ email: newEmail(), code: '123456' }));
    assert.deepEqual([error.statusCode, error.cause.error], [401, 'invalid_client'], error.stack);
  },

  'auth0: an ID token with HS256': async () => {
    const options = { domain, clientId: 'symmetric', clientAssertionSigningKey, idTokenSigningAlg: 'HS256' };
    const login = async (clientSecret) => {
      const auth0 = new AuthenticationClient({ ...options, clientSecret });
      const to = newEmail();
      await auth0.passwordless.sendEmail({ email: to, send: 'code' });
      return auth0.passwordless.loginWithEmail({ email: to, code: await code(to), scope });
    };
    const { data } = await login(process.env.HS256_KEY);
    assert.equal(JSON.parse(Buffer.from(data.id_token.split('.')[0], 'base64url')).alg, 'HS256');
    await rejection(login('another key of thirty-two bytes or more')); // the SDK checks the signature
  },

  'a secret is not a key': async () => {
    const auth0 = new AuthenticationClient({ domain, clientId, clientSecret: 'guessed' });
    const error = await rejection(auth0.passwordless.sendEmail({ email: newEmail(), send: 'code' }));
    assert.equal(error.statusCode, 401);
  },
});
