import { DurableObject } from 'cloudflare:workers';
import { serve } from 'lib';

const logs = {};
const when = (at) => (at === null ? null : at <= Date.now() ? 'due' : 'later');
class Base extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.blockConcurrencyWhile(() => this.begin());
  }
  note(what) {
    (logs[this.constructor.name] ??= []).push(what);
  }
  log() {
    return (logs[this.constructor.name] ?? []).splice(0);
  }
  set(ms) {
    return this.ctx.storage.setAlarm(Date.now() + ms);
  }
  async pending() {
    return when(await this.ctx.storage.getAlarm());
  }
  async alarm() {
    this.note('alarm, and pending is ' + (await this.pending()));
  }
}

export class Looks extends Base {
  async begin() {
    this.note('begins, and pending is ' + (await this.pending()));
  }
}
export class SetsIfNone extends Base {
  async begin() {
    if ((await this.ctx.storage.getAlarm()) === null) {
      await this.set(3600_000);
      this.note('sets');
    }
  }
}
export class Moves extends Base {
  async begin() {
    await this.set(3600_000);
    this.note('moves');
  }
}
export class MovesToNow extends Base {
  async begin() {
    if ((await this.ctx.storage.getAlarm()) !== null) {
      await this.set(-1000);
      this.note('moves');
    }
  }
}
export class Clears extends Base {
  async begin() {
    await this.ctx.storage.deleteAlarm();
    this.note('clears');
  }
}

export default serve();
