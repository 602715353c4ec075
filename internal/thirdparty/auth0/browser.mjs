import assert from 'node:assert/strict';

import { JSDOM } from 'jsdom';

/** A browser without scripts: it keeps cookies, and follows no redirect, so that they can be looked at. */
export class Browser {
  #cookies = new Map();

  get(url) {
    return this.#request(url, { headers: { Accept: 'text/html', 'Sec-Fetch-Site': 'none' } });
  }

  head(url) {
    return this.#request(url, { method: 'HEAD' });
  }

  /** Submits the first form with the method POST of an answer of get. The answer's page can be submitted again. */
  async submit(page) {
    page.html ??= await page.text();
    const { document, FormData } = new JSDOM(page.html, { url: page.url }).window;
    const form = document.querySelector('form[method=post]');
    assert.ok(form, `status ${page.status}, and no form: ${page.html}`);
    const body = new URLSearchParams([...new FormData(form)]);
    return this.#request(form.action, {
      method: 'POST',
      headers: { Accept: 'text/html', Origin: new URL(page.url).origin, Referer: page.url, 'Sec-Fetch-Site': 'same-origin' },
      body,
    });
  }

  async #request(url, init) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...init.headers, ...(cookie && { Cookie: cookie }) };
    const answer = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      this.#cookies.set(name, value);
    }
    return answer;
  }
}
