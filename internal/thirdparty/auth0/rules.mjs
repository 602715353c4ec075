// The rules of codes, links, refresh tokens and limits, which hold with whatever SDK.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { Browser } from './browser.mjs';
import { advance, callback, claims, code, issuer, message, messages, newEmail, newPhone, rejection, wrong } from './harness.mjs';

export const scope = 'openid profile email offline_access';

const cooldown = 31; // seconds, and one more: a repeated start within them sends nothing
const codeLife = 181;
const grace = 11; // of a replaced refresh token

export const problems = {
  email: { status: 403, error: 'invalid_grant', description: 'Wrong email or verification code.' },
  sms: { status: 403, error: 'invalid_grant', description: 'Wrong phone number or verification code.' },
  attempts: { status: 403, error: 'invalid_grant', description: "You've reached the maximum number of attempts. Please try to login again." },
  expired: { status: 403, error: 'invalid_grant', description: 'The verification code has expired. Please try to login again.' },
  refresh: { status: 403, error: 'invalid_grant', description: 'Unknown or invalid refresh token.' },
  token: { status: 401, error: 'access_denied', description: 'Unauthorized' },
  start: { status: 401, error: 'invalid_client', description: 'Invalid client credentials' },
};

/** Fails unless the SDK's call is rejected with that problem, as the SDK tells it. */
export async function refused(sdk, promise, problem) {
  const { status, error, description } = sdk.problem(await rejection(promise));
  assert.deepEqual({ status, error, description }, problem);
}

/** Fails unless tokens are what the scopes of this file give, for the person. */
function complete(sdk, tokens, person) {
  assert.equal(tokens.tokenType.toLowerCase(), 'bearer');
  assert.ok(Number.isInteger(tokens.expiresIn) && tokens.expiresIn > 0, `expires in ${tokens.expiresIn}`);
  assert.ok(tokens.accessToken && tokens.refreshToken && tokens.idToken, 'a token is missing');
  const id = claims(tokens.idToken);
  assert.equal(id.iss, issuer);
  assert.equal(id.aud, sdk.clientId);
  assert.equal(id.nonce, undefined);
  assert.equal(typeof id.auth_time, 'number');
  for (const [name, value] of Object.entries(person)) {
    assert.deepEqual(id[name], value, name);
  }
}

/** Signs in a new person, whose refresh token is among the tokens that are returned. */
async function signIn(sdk) {
  const to = newEmail();
  await sdk.startEmail(to);
  return sdk.loginEmail(to, await code(to), scope);
}

/** Scenarios by name. An sdk has one method for each thing that the SDK does. */
export const codes = (sdk) => ({
  'code by e-mail': async () => {
    const to = newEmail();
    await sdk.startEmail(to);
    const tokens = await sdk.loginEmail(to, await code(to), scope);
    complete(sdk, tokens, { email: to, email_verified: true, name: to });
    assert.match(claims(tokens.idToken).sub, /^email\|[0-9a-f]{24}$/);
  },

  'code by SMS': async () => {
    const to = newPhone();
    await sdk.startSMS(to);
    const tokens = await sdk.loginSMS(to, await code(to), scope);
    complete(sdk, tokens, {});
    assert.match(claims(tokens.idToken).sub, /^sms\|[0-9a-f]{24}$/);
  },

  'no scope, no ID token and no refresh token': async () => {
    const to = newEmail();
    await sdk.startEmail(to);
    const tokens = await sdk.loginEmail(to, await code(to));
    assert.ok(tokens.accessToken);
    assert.equal(tokens.idToken, undefined);
    assert.equal(tokens.refreshToken, undefined);
  },

  'wrong code by e-mail': async () => {
    const to = newEmail();
    await sdk.startEmail(to);
    const right = await code(to);
    await refused(sdk, sdk.loginEmail(to, wrong(right), scope), problems.email);
    await sdk.loginEmail(to, right, scope);
  },

  'wrong code by SMS': async () => {
    const to = newPhone();
    await sdk.startSMS(to);
    await refused(sdk, sdk.loginSMS(to, wrong(await code(to)), scope), problems.sms);
  },

  'third wrong code': async () => {
    const to = newEmail();
    await sdk.startEmail(to);
    const right = await code(to);
    await refused(sdk, sdk.loginEmail(to, wrong(right), scope), problems.email);
    await refused(sdk, sdk.loginEmail(to, wrong(right), scope), problems.email);
    await refused(sdk, sdk.loginEmail(to, wrong(right), scope), problems.attempts);
    await refused(sdk, sdk.loginEmail(to, right, scope), problems.attempts);
  },

  'used code': async () => {
    const to = newEmail();
    await sdk.startEmail(to);
    const right = await code(to);
    await sdk.loginEmail(to, right, scope);
    await refused(sdk, sdk.loginEmail(to, right, scope), problems.email);
  },

  'address that never asked': async () => {
    await refused(sdk, sdk.loginEmail(newEmail(), '123456', scope), problems.email);
  },

  'repeated start sends nothing': async () => {
    const to = newEmail();
    await sdk.startEmail(to);
    await sdk.startEmail(to);
    assert.equal((await messages(to)).length, 1);
    await sdk.loginEmail(to, await code(to), scope);
  },

  'the newest code alone is right': async () => {
    const to = newEmail();
    await sdk.startEmail(to);
    const old = await code(to);
    await advance(cooldown);
    await sdk.startEmail(to);
    assert.equal((await messages(to)).length, 2);
    const right = await code(to);
    assert.notEqual(right, old);
    await refused(sdk, sdk.loginEmail(to, old, scope), problems.email);
    await sdk.loginEmail(to, right, scope);
  },

  'expired code': async () => {
    const to = newEmail();
    await sdk.startEmail(to);
    const right = await code(to);
    await advance(codeLife);
    await refused(sdk, sdk.loginEmail(to, right, scope), problems.expired);
  },
});

export const refreshes = (sdk) => ({
  refresh: async () => {
    const first = await signIn(sdk);
    const second = await sdk.refresh(first.refreshToken);
    complete(sdk, second, {});
    assert.notEqual(second.refreshToken, first.refreshToken);
    assert.equal(claims(second.idToken).sub, claims(first.idToken).sub);
    await sdk.refresh(second.refreshToken);
  },

  'refresh token that was replaced': async () => {
    const first = await signIn(sdk);
    const second = await sdk.refresh(first.refreshToken);
    await advance(grace);
    await refused(sdk, sdk.refresh(first.refreshToken), problems.refresh);
    await refused(sdk, sdk.refresh(second.refreshToken), problems.refresh); // one of the two was a thief
  },

  'refresh token that never was': async () => {
    await refused(sdk, sdk.refresh('v1.MQ'), problems.refresh);
  },
});

export const limits = (sdk) => ({
  'too many messages to one address': async () => {
    const to = newEmail();
    // Two at once, half of what strangers may ask for, and the one of the other half that each network may have.
    for (let sent = 0; sent < 3; sent++) {
      await sdk.startEmail(to);
      await advance(cooldown);
    }
    assert.equal((await messages(to)).length, 3);
    const problem = sdk.problem(await rejection(sdk.startEmail(to)));
    assert.equal(problem.status, 429);
    assert.equal(problem.error, 'too_many_requests');
    assert.equal((await messages(to)).length, 3);
    await advance(limitHeaders(problem.headers));
    await sdk.startEmail(to);
    assert.equal((await messages(to)).length, 4);
  },
});

/** Checks the headers of a 429, which clients parse as integers, and returns the seconds to wait. */
export function limitHeaders(headers) {
  const integer = (name) => {
    assert.match(headers.get(name) ?? '', /^\d+$/, name);
    return Number(headers.get(name));
  };
  const wait = integer('Retry-After');
  const now = Math.floor(Date.now() / 1000);
  assert.ok(wait > 0 && wait <= 3600, `Retry-After is ${wait}`);
  assert.equal(integer('X-RateLimit-Remaining'), 0);
  assert.ok(integer('X-RateLimit-Limit') > 0);
  const reset = integer('X-RateLimit-Reset');
  assert.ok(reset > now && reset <= now + wait + 60, `X-RateLimit-Reset is ${reset}, now is ${now}`);
  return wait;
}

/** Starts with a link. Returns what the application keeps, and the link. */
async function startLink(sdk) {
  const to = newEmail();
  const state = randomBytes(16).toString('hex');
  await sdk.startLink(to, { response_type: 'code', redirect_uri: callback, scope: 'openid profile email', state });
  const { link } = await message(to);
  assert.ok(link.startsWith(`${issuer}passwordless/verify_redirect?`), 'the link leads elsewhere');
  return { to, state, link };
}

/** Where an answer leads the browser back to. Fails unless that is the callback, with the state, from the issuer. */
function led(answer, state) {
  assert.equal(answer.status, 303);
  const back = new URL(answer.headers.get('Location'));
  assert.equal(back.origin + back.pathname, callback);
  assert.equal(back.searchParams.get('state'), state);
  assert.equal(back.searchParams.get('iss'), issuer);
  return back;
}

/** Fails unless an answer leads back with a code. Returns where it leads. */
export function came(answer, state) {
  const back = led(answer, state);
  assert.ok(back.searchParams.get('code'), `there is no code: ${back.searchParams}`);
  return back;
}

/** Fails unless an answer leads back with an error. Returns where it leads. */
function failed(answer, state) {
  const back = led(answer, state);
  assert.equal(back.searchParams.get('code'), null);
  assert.ok(back.searchParams.get('error') && back.searchParams.get('error_description'), `there is no error: ${back.searchParams}`);
  return back;
}

export const links = (sdk) => ({
  'link to the callback': async () => {
    const { to, state, link } = await startLink(sdk);
    const browser = new Browser();
    for (let scans = 0; scans < 3; scans++) {
      assert.equal((await new Browser().head(link)).status, 200);
      assert.equal((await new Browser().get(link)).status, 200);
    }
    const back = came(await browser.submit(await browser.get(link)), state);
    const tokens = await sdk.exchange(back, state);
    const id = claims(tokens.idToken);
    assert.equal(id.email, to);
    assert.equal(id.email_verified, true);
    assert.equal(id.aud, sdk.clientId);
    assert.equal(id.nonce, undefined);
    const again = sdk.problem(await rejection(sdk.exchange(back, state)));
    assert.deepEqual([again.status, again.error], [403, 'invalid_grant']);
  },

  'link that was used': async () => {
    const { state, link } = await startLink(sdk);
    const browser = new Browser();
    const form = await browser.get(link);
    came(await browser.submit(form), state);
    failed(await browser.submit(form), state);
    failed(await browser.get(link), state);
  },

  'link that is over': async () => {
    const { state, link } = await startLink(sdk);
    await advance(codeLife);
    const back = failed(await new Browser().get(link), state);
    assert.equal(back.searchParams.get('error'), 'unauthorized');
    assert.equal(back.searchParams.get('error_description'), problems.expired.description);
  },

  'link to where the client never registered': async () => {
    const to = newEmail();
    const authParams = { response_type: 'code', redirect_uri: 'http://localhost:3000/elsewhere', state: 's' };
    const problem = sdk.problem(await rejection(sdk.startLink(to, authParams)));
    assert.deepEqual([problem.status, problem.error], [400, 'bad.authParams']);
    assert.equal((await messages(to)).length, 0);
  },
});
