import { DurableObject } from 'cloudflare:workers';
import { serve, sleep } from 'lib';

const facts = {};
export class A extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    const mine = (facts[ctx.id.name] ??= { attempts: 0, ran: [], left: 0 });
    mine.attempts++;
    if (mine.left > 0) {
      mine.left--;
      this[ctx.id.name]();
    }
  }
  aborts() {
    this.ctx.abort('x');
  }
  blocks() {
    this.ctx.blockConcurrencyWhile(async () => {
      throw new Error('x');
    });
  }
  blocksLater() {
    this.ctx.blockConcurrencyWhile(async () => {
      await sleep(50);
      throw new Error('x');
    });
  }
  abortsLater() {
    this.ctx.blockConcurrencyWhile(async () => {
      await sleep(50);
      this.ctx.abort('x');
    });
  }
  async start() {
    facts[this.ctx.id.name].left = 1;
    await this.ctx.storage.setAlarm(Date.now() + 300);
  }
  facts() {
    return facts[this.ctx.id.name];
  }
  alarm(info) {
    facts[this.ctx.id.name].ran.push([info.retryCount, info.isRetry]);
  }
}

export default serve();
