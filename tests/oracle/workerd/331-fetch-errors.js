import { DurableObject } from 'cloudflare:workers';
import { serve, attempt, attemptSync, enc, errInfo, sleep } from 'lib';

export class A extends DurableObject {
  hits = 0;
  async fetch(request) {
    this.hits++;
    const what = new URL(request.url).pathname.split('/')[1];
    switch (what) {
      case 'throw':
        throw new Error('from fetch');
      case 'typeError':
        throw new TypeError('a type error');
      case 'writeThenThrow':
        this.ctx.storage.put('written', 1);
        throw new Error('after writing');
      case 'nothing':
        return;
      case 'null':
        return null;
      case 'text':
        return 'text';
      case 'object':
        return { a: 1 };
      case 'streamFails': {
        let n = 0;
        return new Response(new ReadableStream({
          async pull(c) {
            if (n++ === 0) c.enqueue(new TextEncoder().encode('some'));
            else { await sleep(20); c.error(new Error('stream broke')); }
          },
        }));
      }
      case 'badStatus':
        return new Response('x', { status: 99 });
      case 'status101':
        return new Response(null, { status: 101 });
      case 'bodyWith204':
        return new Response('body', { status: 204 });
      case 'hits':
        return Response.json(this.hits);
      case 'written':
        return Response.json((await this.ctx.storage.get('written')) ?? null);
      case 'ignoreBody':
        return new Response('ignored');
      case 'bigBody':
        return new Response(String((await request.arrayBuffer()).byteLength));
      case 'headers':
        return Response.json([request.headers.get('x-a'), request.headers.get('x-b')]);
    }
    return new Response('other');
  }
}
export class NoFetch extends DurableObject {
  hit() {
    return 'hit';
  }
}

const ask = (env, path, init) => env.A.getByName('x').fetch('http://do/' + path, init);
export default serve({
  outcome: (env, ctx, path) => attempt(async () => (await ask(env, path)).status),
  noFetch: (env) => attempt(() => env.NoFetch.getByName('x').fetch('http://do/')),
  noFetchRpc: (env) => env.NoFetch.getByName('x').hit(),
  badUrls: (env) => Promise.all(['', 'nonsense', 'ftp://x/y', '//host/path', 'http://', 'http://[', 'HTTP://DO/url'].map((u) => attempt(async () => (await env.A.getByName('x').fetch(u)).status))),
  badInit: (env) => Promise.all([
    attempt(async () => (await ask(env, 'other', { method: 'GET', body: 'x' })).status),
    attempt(async () => (await ask(env, 'other', { method: 'not a method' })).status),
    attempt(async () => (await ask(env, 'other', { headers: { 'bad name': '1' } })).status),
    attempt(async () => (await ask(env, 'other', { headers: { ok: 'bad\nvalue' } })).status),
    attempt(async () => (await ask(env, 'other', { redirect: 'nonsense' })).status),
  ]),
  nothing: (env) => attempt(() => env.A.getByName('x').fetch()),
  streamError: (env) => attempt(async () => (await ask(env, 'streamFails')).text()),
  manyHeaders: async (env) => (await ask(env, 'headers', { headers: [['x-a', '1'], ['X-A', '2'], ['x-b', ' spaced ']] })).json(),
  bigBody: async (env, ctx, n) => (await ask(env, 'bigBody', { method: 'POST', body: 'x'.repeat(n) })).text(),
  reuse: async (env) => {
    const request = new Request('http://do/bigBody', { method: 'POST', body: 'four' });
    const one = await (await env.A.getByName('x').fetch(request)).text();
    return [one, await attempt(() => env.A.getByName('x').fetch(request)), request.bodyUsed];
  },
  clone: async (env) => {
    const request = new Request('http://do/bigBody', { method: 'POST', body: 'four' });
    const copy = request.clone();
    return [await (await env.A.getByName('x').fetch(request)).text(), await (await env.A.getByName('x').fetch(copy)).text()];
  },
  async hits(env) {
    return (await ask(env, 'hits')).json();
  },
});
