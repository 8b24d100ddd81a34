import { DurableObject } from 'cloudflare:workers';
import { serve, sleep } from 'lib';

const logs = {};
const HOUR = 3600_000;
const when = (at) => (at === null ? null : at - Date.now() < 10 ? 'due' : at - Date.now() > 1500 ? 'far' : 'soon');
export class A extends DurableObject {
  get storage() {
    return this.ctx.storage;
  }
  note(what) {
    (logs[this.ctx.id.name] ??= []).push(what);
  }
  async facts() {
    return [(logs[this.ctx.id.name] ?? []).splice(0), await this.pending()];
  }
  async pending() {
    return when(await this.storage.getAlarm());
  }
  set(ms) {
    return this.storage.setAlarm(Date.now() + ms);
  }
  clear() {
    return this.storage.deleteAlarm();
  }
  wipe() {
    return this.storage.deleteAll();
  }
  stop(retryAlarm) {
    this.ctx.abort('stopped', { retryAlarm });
  }

  // The alarm does what the object is called, the first time.
  async alarm(info) {
    this.note(['alarm', info.retryCount, info.isRetry]);
    if (info.retryCount > 0 || this.done) return;
    this.done = true;
    await this[this.ctx.id.name](info);
    this.note(['left', await this.pending()]);
  }
  async deleteThenThrow() {
    await this.clear();
    throw new Error('x');
  }
  async setThenDelete() {
    await this.set(300);
    this.note(await this.pending());
    await this.clear();
  }
  async setThenDeleteThenThrow() {
    await this.set(300);
    await this.clear();
    throw new Error('x');
  }
  async deleteThenSet() {
    await this.clear();
    await this.set(300);
  }
  async setFarThenThrow() {
    await this.set(HOUR);
    throw new Error('x');
  }
  async setUnawaitedThenThrow() {
    this.set(HOUR);
    throw new Error('x');
  }
  async setPast() {
    await this.set(-1000);
  }
  async setSameTime(info) {
    await this.storage.setAlarm(info.scheduledTime);
  }
  async wipeThenThrow() {
    await this.wipe();
    throw new Error('x');
  }
  async wipeThenSet() {
    await this.wipe();
    await this.set(HOUR);
  }
  async transactionFails() {
    try {
      await this.storage.transaction(async (txn) => {
        await txn.setAlarm(Date.now() + HOUR);
        this.note(when(await txn.getAlarm()));
        throw new Error('x');
      });
    } catch {}
  }
  async transactionClearsAndFails() {
    try {
      await this.storage.transaction(async (txn) => {
        await txn.deleteAlarm();
        throw new Error('x');
      });
    } catch {}
  }
  async transactionThenThrow() {
    await this.storage.transaction((txn) => txn.setAlarm(Date.now() + HOUR));
    throw new Error('x');
  }
  async blockFails() {
    await this.ctx.blockConcurrencyWhile(async () => {
      throw new Error('blocked');
    });
  }
  async block() {
    this.note(await this.ctx.blockConcurrencyWhile(async () => (await sleep(20), 'inside')));
  }
  async waitUntil() {
    this.ctx.waitUntil(sleep(50).then(() => this.note('waited')));
  }
  async waitUntilFails() {
    this.ctx.waitUntil(sleep(50).then(() => Promise.reject(new Error('x'))));
  }
  async callsItself() {
    this.note(await this.env.A.getByName(this.ctx.id.name).pending());
  }
  async badSql() {
    this.storage.sql.exec('nonsense');
  }

  // Requests change it while it runs.
  async slow() {
    await sleep(1000);
  }

  // Requests that set it.
  async setThenFail() {
    this.set(100);
    throw new Error('failed');
  }
  setThenAbort() {
    this.set(100);
    this.ctx.abort('stopped');
  }
  async syncTransactionFails() {
    try {
      this.storage.transactionSync(() => {
        this.set(100);
        throw new Error('x');
      });
    } catch {}
    return this.pending();
  }
  async rollback() {
    await this.storage.transaction(async (txn) => {
      await txn.setAlarm(Date.now() + 100);
      txn.rollback();
    });
    return this.pending();
  }
}
for (const name of ['slowSet', 'slowClear', 'slowWipe', 'slowAbort', 'slowDrop', 'slowSetTwice']) A.prototype[name] = A.prototype.slow;

export default serve();
