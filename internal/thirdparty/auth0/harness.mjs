// What the scripts have in common: how they report to the Go test, and how they talk to the
// server's developer endpoints.
import assert from 'node:assert/strict';

/** The server's own URL, with its slash: the issuer. */
export const issuer = process.env.SERVER;
/** What SDKs call the domain. */
export const domain = new URL(issuer).host;

/** Where links lead back to; nothing listens there. */
export const callback = 'http://localhost:3000/callback';

const patience = 30_000; // milliseconds for one scenario

/**
 * Runs scenarios, functions by name, one after the other: they share the server's clock. Each line that it
 * prints is a JSON object: first the plan, which lists all names, then each result.
 */
export async function run(scenarios) {
  say({ plan: Object.keys(scenarios) });
  for (const [name, scenario] of Object.entries(scenarios)) {
    try {
      await within(scenario());
      say({ name, ok: true });
    } catch (error) {
      say({ name, ok: false, message: error?.stack ?? JSON.stringify(error, ['statusCode', 'code', 'description', 'error', 'errorDescription']) });
    }
  }
}

function say(line) {
  process.stdout.write(JSON.stringify(line) + '\n');
}

function within(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('the scenario takes too long')), patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Resolves to what a promise is rejected with. */
export async function rejection(promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  assert.fail('it succeeded with ' + JSON.stringify(value));
}

let people = 0;

/** An e-mail address that nobody used: limits are counted by address. */
export const newEmail = () => `person-${++people}@example.com`;

/** A mobile number of Sweden that nobody used and that differs from others before its last four digits. */
export const newPhone = () => `+4670${1000000 + ++people * 10000}`;

/** The messages to an address, the newest first. */
export async function messages(to) {
  const response = await fetch(`${issuer}dev/outbox?to=${encodeURIComponent(to)}`);
  assert.equal(response.status, 200);
  return response.json();
}

/** The newest message to an address. */
export async function message(to) {
  const [newest] = await messages(to);
  assert.ok(newest, 'no message was sent');
  return newest;
}

/** The code in the newest message to an address. */
export async function code(to) {
  const { code } = await message(to);
  assert.match(code, /^\d{6}$/);
  return code;
}

/** A code that is not the given one. */
export const wrong = (code) => code.slice(0, -1) + ((Number(code.at(-1)) + 1) % 10);

/** Lets time pass, for the server and for this process alike. */
export async function advance(seconds) {
  const response = await fetch(`${issuer}dev/clock`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ advance: `${seconds}s` }),
  });
  assert.equal(response.status, 200);
  ahead += seconds * 1000;
}

let ahead = 0; // milliseconds

const SystemDate = Date;
globalThis.Date = class Date extends SystemDate {
  constructor(...args) {
    super(...(args.length > 0 ? args : [Date.now()]));
  }

  static now() {
    return SystemDate.now() + ahead;
  }
};

/** The claims of a JWT, not verified. */
export const claims = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'));
