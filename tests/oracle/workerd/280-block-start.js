import { DurableObject } from 'cloudflare:workers';
import { serve, attempt, attemptSync, enc, errInfo, sleep } from 'lib';

export class A extends DurableObject {
  events = [];
  constructor(ctx, env) {
    super(ctx, env);
    this.events.push('constructor');
    ctx.blockConcurrencyWhile(async () => {
      this.events.push('block begins');
      await sleep(200);
      this.value = await ctx.storage.get('value');
      this.events.push('block ends');
    });
    this.events.push('constructor ends');
  }
  hit(tag) {
    this.events.push(tag);
    return [this.value ?? null, this.events.length];
  }
  log() {
    return this.events;
  }
  async set(value) {
    await this.ctx.storage.put('value', value);
  }
  fetch() {
    this.events.push('fetch');
    return Response.json(this.value ?? null);
  }
}
// Two blocks and an un-awaited write in the constructor.
export class Two extends DurableObject {
  events = [];
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.put('written in constructor', 1);
    ctx.blockConcurrencyWhile(async () => {
      this.events.push('first begins');
      await sleep(20);
      this.events.push('first ends');
    });
    ctx.blockConcurrencyWhile(async () => {
      this.events.push('second begins');
      await sleep(5);
      this.events.push('second ends');
    });
    ctx.storage.transaction(async (txn) => {
      await txn.put('in transaction', 1);
      this.events.push('transaction');
    });
    ctx.waitUntil(sleep(1).then(() => this.events.push('background')));
    setTimeout(() => this.events.push('timer'), 1);
  }
  async log() {
    await sleep(10);
    return [this.events, [...(await this.ctx.storage.list()).keys()]];
  }
}
// A block that waits for another object, and calls back.
export class Caller extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.blockConcurrencyWhile(async () => {
      this.answer = await env.A.getByName('helper').hit('from a constructor');
    });
  }
  got() {
    return this.answer;
  }
}

export default serve({
  async order(env) {
    const stub = env.A.getByName('order');
    await Promise.all([stub.hit(1), stub.hit(2), stub.hit(3), env.A.getByName('order').hit(4)]);
    return stub.log();
  },
});
