import { DurableObject } from 'cloudflare:workers';
import { serve, attempt, attemptSync, enc, errInfo, sleep } from 'lib';

export class A extends DurableObject {
  events = [];
  log() {
    return this.events.splice(0);
  }
  // Read, then write, with only storage in between: no other event slips in.
  async increment() {
    const n = (await this.ctx.storage.get('n')) ?? 0;
    await this.ctx.storage.list();
    await this.ctx.storage.put('n', n + 1);
    return n + 1;
  }
  async incrementSlowly() {
    const n = (await this.ctx.storage.get('m')) ?? 0;
    await sleep(20);
    await this.ctx.storage.put('m', n + 1);
    return n + 1;
  }
  async get(key) {
    return this.ctx.storage.get(key);
  }
  async ping(tag, depth) {
    this.events.push(tag + ' in ' + depth);
    if (depth > 0) await this.env.A.getByName(this.ctx.id.name === 'x' ? 'y' : 'x').ping(tag, depth - 1);
    this.events.push(tag + ' out ' + depth);
  }
  async selfCall() {
    return [await this.env.A.getByName('x').get('n'), 'back'];
  }
  async outer() {
    this.ctx.storage.put('o', 1);
    const other = this.env.A.getByName('y');
    const seen = await other.lookAt('x', 'o');
    return seen;
  }
  async lookAt(name, key) {
    return this.env.A.getByName(name).get(key);
  }
  async manyWrites(n) {
    for (let i = 0; i < n; i++) this.ctx.storage.put('w' + i, i);
    return (await this.ctx.storage.list({ prefix: 'w' })).size;
  }
  async unconfirmed() {
    this.ctx.storage.put('u', 1, { allowUnconfirmed: true });
    return this.ctx.storage.get('u');
  }
}

export default serve({
  async many(env, ctx, method, n) {
    const stub = env.A.getByName('many');
    return Promise.all(Array.from({ length: n }, () => stub[method]()));
  },
  async manyStubs(env, ctx, method, n) {
    const got = await Promise.all(Array.from({ length: n }, () => env.A.getByName('stubs')[method]()));
    return got.sort((a, b) => a - b);
  },
});
