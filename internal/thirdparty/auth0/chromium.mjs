// A browser that people use. Where links end it is stricter than scripts are: its policies apply to the
// redirect that answers a form, too.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A Chromium with one page, that goes to ports of this machine instead of the hosts that it is told. */
export class Chromium {
  #process;
  #folder;
  #session;
  #waiting = new Map(); // by id: the functions of a promise
  #id = 0;

  /** hosts are ports by "host:port". */
  static async start(program, hosts) {
    const folder = await mkdtemp(join(tmpdir(), 'passwordless-chromium-'));
    const rules = Object.entries(hosts).map(([host, port]) => `MAP ${host} 127.0.0.1:${port}`);
    const process = spawn(
      program,
      ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--ignore-certificate-errors',
        '--remote-debugging-pipe', `--user-data-dir=${folder}`, `--host-resolver-rules=${rules.join(',')}`, 'about:blank'],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
    );
    const chromium = new Chromium(process, folder);
    await chromium.#attach();
    return chromium;
  }

  constructor(process, folder) {
    this.#process = process;
    this.#folder = folder;
    let rest = '';
    process.stdio[4].setEncoding('utf8').on('data', (data) => {
      const parts = (rest + data).split('\0');
      rest = parts.pop();
      parts.forEach((text) => this.#hear(JSON.parse(text)));
    });
    process.on('error', (error) => this.#waiting.forEach(({ reject }) => reject(error)));
  }

  async #attach() {
    const { targetInfos } = await this.#tell('Target.getTargets');
    const { targetId } = targetInfos.find(({ type }) => type === 'page') ?? (await this.#tell('Target.createTarget', { url: 'about:blank' }));
    this.#session = (await this.#tell('Target.attachToTarget', { targetId, flatten: true })).sessionId;
  }

  #tell(method, params = {}) {
    const id = ++this.#id;
    this.#process.stdio[3].write(JSON.stringify({ id, method, params, sessionId: this.#session }) + '\0');
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #hear({ id, result, error }) {
    const { resolve, reject } = this.#waiting.get(id) ?? {};
    this.#waiting.delete(id);
    if (error) {
      reject?.(new Error(error.message));
    } else {
      resolve?.(result);
    }
  }

  /** Goes to a URL, as a link in a mail program would, and waits until the page is there. */
  async go(url) {
    await this.#tell('Page.navigate', { url });
    await this.until(`document.readyState === 'complete' && location.href !== 'about:blank'`);
  }

  /** The value of an expression in the page; of a promise what it resolves to. */
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.#tell('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) {
      const thrown = exceptionDetails.exception;
      throw new Error(`the page: ${thrown?.description ?? JSON.stringify(thrown?.value ?? exceptionDetails.text)}`);
    }
    return result.value;
  }

  /** Waits until an expression is true. The page may be another by then. */
  async until(expression) {
    const end = performance.now() + 10_000;
    while (!(await this.evaluate(expression).catch(() => false))) {
      if (performance.now() > end) {
        throw new Error(`${expression} does not become true at ${await this.evaluate('location.href + document.documentElement.outerHTML')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async close() {
    const ended = once(this.#process, 'exit');
    this.#tell('Browser.close').catch(() => {});
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(timer);
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
