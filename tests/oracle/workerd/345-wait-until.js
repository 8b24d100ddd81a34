import { DurableObject } from 'cloudflare:workers';
import { serve, attempt, attemptSync, enc, errInfo, sleep } from 'lib';

const log = [];
export class A extends DurableObject {
  hits = 0;
  hit() {
    return ++this.hits;
  }
  waits(ms) {
    this.ctx.waitUntil((async () => {
      await sleep(ms);
      await this.ctx.storage.put('waited', ms);
      log.push('waited ' + ms);
    })());
    return 'answered';
  }
  rejects() {
    this.ctx.waitUntil((async () => {
      await sleep(5);
      throw new Error('rejected in waitUntil');
    })());
    return ++this.hits;
  }
  returnValue() {
    return enc(this.ctx.waitUntil(Promise.resolve(1)));
  }
  get(key) {
    return this.ctx.storage.get(key);
  }
  log() {
    return log.splice(0);
  }
  background() {
    (async () => {
      await sleep(30);
      await this.ctx.storage.put('background', 1);
      log.push('background');
    })();
    return 'answered';
  }
  lostRejection() {
    (async () => {
      throw new Error('nobody waits');
    })();
    return ++this.hits;
  }
  abortThenWaits() {
    this.ctx.waitUntil((async () => {
      await sleep(60);
      log.push('after abort');
    })());
    setTimeout(() => this.ctx.abort('stop'), 20);
    return 'answered';
  }
}

export default serve({
  async fromWorker(env, ctx) {
    ctx.waitUntil((async () => {
      await sleep(30);
      await env.A.getByName('w').hit();
    })());
    return 'answered';
  },
  workerRejects(env, ctx) {
    ctx.waitUntil(Promise.reject(new Error('from the worker')));
    return 'answered';
  },
});
