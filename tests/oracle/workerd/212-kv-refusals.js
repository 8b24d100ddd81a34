import { DurableObject } from 'cloudflare:workers';
import { serve, attempt, attemptSync, enc, errInfo, sleep } from 'lib';

class Point {
  constructor() {
    this.x = 1;
  }
}

export class A extends DurableObject {
  put(key, value) {
    return attempt(() => this.ctx.storage.put(key, value));
  }
  get(key) {
    return attempt(() => this.ctx.storage.get(key));
  }
  delete(key) {
    return attempt(() => this.ctx.storage.delete(key));
  }
  async list(options) {
    return attempt(async () => [...(await this.ctx.storage.list(options))]);
  }
  putNothing() {
    return attempt(() => this.ctx.storage.put('only key'));
  }
  putWithBadKeys() {
    return attempt(() => this.ctx.storage.put({ a: 1, '': 2 }));
  }
  getNothing() {
    return attempt(() => this.ctx.storage.get());
  }
  deleteNothing() {
    return attempt(() => this.ctx.storage.delete());
  }
  nested() {
    return attempt(() => this.ctx.storage.put('u', { a: [1, { b: new WeakMap() }] }));
  }
  transactionKeys() {
    return this.ctx.storage.transaction(async (txn) => [
      await attempt(() => txn.put('k', new WeakMap())), await attempt(() => txn.list({ limit: 0 })), await attempt(() => txn.put('k', 1)),
    ]);
  }
  syncList(options) {
    return attemptSync(() => [...this.ctx.storage.kv.list(options)]);
  }
}

export default serve();
