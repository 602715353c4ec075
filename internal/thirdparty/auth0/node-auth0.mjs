// The package auth0 (node-auth0): a web application with a secret.
import assert from 'node:assert/strict';

import { AuthenticationClient } from 'auth0';

import { code, domain, newEmail, newPhone, rejection, run } from './harness.mjs';
import { codes, limits, links, problems, refreshes, refused, scope } from './rules.mjs';

const tokens = ({ data }) => ({
  accessToken: data.access_token,
  idToken: data.id_token,
  refreshToken: data.refresh_token,
  expiresIn: data.expires_in,
  tokenType: data.token_type,
});

const client = (clientId, clientSecret) => new AuthenticationClient({ domain, clientId, clientSecret });

const adapter = (clientId, clientSecret) => {
  const auth0 = client(clientId, clientSecret);
  return {
    clientId,
    startEmail: (email) => auth0.passwordless.sendEmail({ email, send: 'code' }),
    startSMS: (phone_number) => auth0.passwordless.sendSMS({ phone_number }),
    startLink: (email, authParams) => auth0.passwordless.sendEmail({ email, send: 'link', authParams }),
    loginEmail: async (email, code, scope) => tokens(await auth0.passwordless.loginWithEmail({ email, code, ...(scope && { scope }) })),
    loginSMS: async (phone_number, code, scope) => tokens(await auth0.passwordless.loginWithSMS({ phone_number, code, scope })),
    refresh: async (refresh_token) => tokens(await auth0.oauth.refreshTokenGrant({ refresh_token })),
    exchange: async (back) =>
      tokens(
        await auth0.oauth.authorizationCodeGrant({
          code: back.searchParams.get('code'),
          redirect_uri: back.origin + back.pathname,
        }),
      ),
    problem: (error) => {
      assert.equal(error.name, 'AuthApiError', error.stack);
      assert.equal(error.message, error.error_description);
      return { status: error.statusCode, error: error.error, description: error.error_description, headers: error.headers };
    },
  };
};

const sdk = adapter('demo-web', 'demo-web-secret');
const { passwordless } = client('demo-web', 'demo-web-secret');

await run({
  ...codes(sdk),
  ...refreshes(sdk),
  ...limits(sdk),
  ...links(sdk),

  'an ID token with max_age and nonce is valid': async () => {
    const to = newEmail();
    await sdk.startEmail(to);
    const options = { idTokenValidateOptions: { maxAge: 60, nonce: 'n-0S6_WzA2Mj' } };
    const { data } = await passwordless.loginWithEmail({ email: to, code: await code(to), scope, nonce: 'n-0S6_WzA2Mj' }, options);
    assert.ok(data.id_token);
  },

  'a refresh token that was revoked': async () => {
    const to = newEmail();
    await sdk.startEmail(to);
    const { refreshToken } = await sdk.loginEmail(to, await code(to), scope);
    await client('demo-web', 'demo-web-secret').oauth.revokeRefreshToken({ token: refreshToken });
    await refused(sdk, sdk.refresh(refreshToken), problems.refresh);
  },

  'a null audience is none': async () => {
    const to = newPhone();
    await sdk.startSMS(to);
    const { data } = await passwordless.loginWithSMS({ phone_number: to, code: await code(to), audience: '' });
    assert.ok(data.access_token);
  },

  'send is link unless it says code': async () => {
    const to = newEmail();
    await passwordless.sendEmail({ email: to });
    await passwordless.sendEmail({ email: newEmail(), send: null, authParams: {} });
  },

  'address that is none': async () => {
    await refused(sdk, passwordless.sendEmail({ email: 'nobody', send: 'code' }), {
      status: 400, error: 'bad.email', description: 'error in email - email format validation failed: nobody',
    });
    await refused(sdk, passwordless.sendSMS({ phone_number: '0701234567' }), {
      status: 400, error: 'bad.phone_number', description: 'String does not match pattern: ^\\+[0-9]{1,15}$',
    });
  },

  'wrong secret and unknown client': async () => {
    for (const other of [adapter('demo-web', 'wrong'), adapter('nobody', 'demo-web-secret')]) {
      await refused(other, other.startEmail(newEmail()), problems.start);
      await refused(other, other.loginEmail(newEmail(), '123456', scope), problems.token);
    }
  },

  'an unknown audience is refused': async () => {
    const to = newEmail();
    await sdk.startEmail(to);
    const right = await code(to);
    const error = await rejection(passwordless.loginWithEmail({ email: to, code: right, audience: 'https://nowhere.example/' }));
    assert.equal(error.statusCode, 403);
    await sdk.loginEmail(to, right, scope); // which cost no attempt
  },
});
