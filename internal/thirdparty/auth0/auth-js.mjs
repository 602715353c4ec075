// The package @auth0/auth0-auth-js, which the SDKs of frameworks stand on: a web application with a secret.
import assert from 'node:assert/strict';

import { AuthClient } from '@auth0/auth0-auth-js';

import { callback, domain, issuer, message, newEmail, rejection, run } from './harness.mjs';
import { codes, limits, links, problems, refreshes, refused, scope } from './rules.mjs';

const tokens = (t) => ({
  accessToken: t.accessToken,
  idToken: t.idToken,
  refreshToken: t.refreshToken,
  expiresIn: Math.round(t.expiresAt - Date.now() / 1000),
  tokenType: t.tokenType,
});

const adapter = (clientId, clientSecret) => {
  const auth0 = new AuthClient({ domain, clientId, clientSecret });
  return {
    clientId,
    startEmail: (email) => auth0.passwordless.sendEmail({ email }),
    startSMS: (phoneNumber) => auth0.passwordless.sendSms({ phoneNumber }),
    startLink: (email, authParams) => auth0.passwordless.sendEmail({ email, send: 'link', authParams }),
    loginEmail: async (email, code, scope) => tokens(await auth0.getTokenByPasswordlessEmail({ email, code, scope })),
    loginSMS: async (phoneNumber, code, scope) => tokens(await auth0.getTokenByPasswordlessSms({ phoneNumber, code, scope })),
    refresh: async (refreshToken) => tokens(await auth0.getTokenByRefreshToken({ refreshToken })),
    exchange: async (back, expectedState) => tokens(await auth0.getTokenByMagicLinkCode(back, { expectedState })),
    problem: (error) => {
      assert.ok(error.cause, error.stack);
      return { status: error.statusCode, error: error.cause.error, description: error.cause.error_description, headers: error.headers };
    },
    auth0,
  };
};

const sdk = adapter('demo-web', 'demo-web-secret');

await run({
  ...codes(sdk),
  ...refreshes(sdk),
  ...limits(sdk),
  ...links(sdk),

  'the language is the message\'s': async () => {
    const to = newEmail();
    await sdk.auth0.passwordless.sendEmail({ email: to, language: 'sv-SE' });
    assert.match((await message(to)).locale, /^sv/);
  },

  'wrong secret and unknown client': async () => {
    for (const other of [adapter('demo-web', 'wrong'), adapter('nobody', 'demo-web-secret')]) {
      await refused(other, other.startEmail(newEmail()), problems.start);
      await refused(other, other.loginEmail(newEmail(), '123456', scope), problems.token);
    }
  },

  'an error at the callback is the SDK\'s': async () => {
    const back = new URL(callback);
    back.search = new URLSearchParams({ error: 'unauthorized', error_description: problems.expired.description, state: 's', iss: issuer });
    const error = await rejection(sdk.auth0.getTokenByMagicLinkCode(back, { expectedState: 's' }));
    assert.equal(error.cause.error, 'unauthorized', error.stack);
    assert.equal(error.cause.error_description, problems.expired.description);
  },
});
