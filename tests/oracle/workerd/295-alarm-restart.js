import { DurableObject } from 'cloudflare:workers';
import { serve } from 'lib';

export class A extends DurableObject {
  async log() {
    return (await this.ctx.storage.get('log')) ?? [];
  }
  async start(ms, fails) {
    await this.ctx.storage.put('fails', fails);
    await this.ctx.storage.setAlarm(Date.now() + ms);
  }
  async pending() {
    const at = await this.ctx.storage.getAlarm();
    return at === null ? null : at <= Date.now() ? 'due' : 'later';
  }
  async alarm(info) {
    await this.ctx.storage.put('log', [...(await this.log()), [this.ctx.id.name, info.retryCount, info.isRetry]]);
    if (await this.ctx.storage.get('fails')) throw new Error('always');
  }
}

export default serve();
