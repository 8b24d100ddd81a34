import { DurableObject } from 'cloudflare:workers';
import { serve, attempt, attemptSync, enc, errInfo, sleep } from 'lib';

export class A extends DurableObject {
  events = [];
  get s() {
    return this.ctx.storage;
  }
  log() {
    return this.events.splice(0);
  }
  note(tag) {
    this.events.push(tag);
  }
  async read(key) {
    this.events.push('read ' + key);
    return this.s.get(key);
  }
  async keys() {
    return [...(await this.s.list()).keys()];
  }
  async slow(tag, ms) {
    this.events.push(tag + ' asked');
    await this.s.transaction(async (txn) => {
      this.events.push(tag + ' begins');
      await txn.put(tag, 1);
      await sleep(ms);
      this.events.push(tag + ' ends');
    });
    this.events.push(tag + ' after');
    return tag;
  }
  async slowRollback(tag, ms) {
    await this.s.transaction(async (txn) => {
      await txn.put(tag, 1);
      await sleep(ms);
      txn.rollback();
      this.events.push(tag + ' rolled back');
    });
  }
  async abortInside() {
    await this.s.put('before', 1);
    await this.s.transaction(async (txn) => {
      await txn.put('inside', 1);
      await sleep(5);
      this.ctx.abort('in transaction');
    });
  }
  async blockInside() {
    return this.s.transaction(async (txn) => this.ctx.blockConcurrencyWhile(async () => {
      await sleep(5);
      await this.s.put('block in transaction', 1);
      return 'both';
    }));
  }
  async transactionInBlock() {
    return this.ctx.blockConcurrencyWhile(async () => this.s.transaction(async (txn) => {
      await sleep(5);
      await txn.put('transaction in block', 1);
      return 'both';
    }));
  }
  async throwInBlockInside() {
    return attempt(() => this.s.transaction(async () => this.ctx.blockConcurrencyWhile(async () => {
      throw new Error('from the block in the transaction');
    })));
  }
  async twoAtOnce() {
    const events = [];
    const run = (tag, ms) => this.s.transaction(async (txn) => {
      events.push(tag + ' begins');
      await txn.put(tag, 1);
      await sleep(ms);
      events.push(tag + ' ends');
    });
    await Promise.all([run('a', 30), run('b', 5)]);
    return events;
  }
  async unawaited() {
    this.s.transaction(async (txn) => {
      await txn.put('unawaited', 1);
    });
    return (await this.keys()).includes('unawaited');
  }
  async unawaitedThrows() {
    this.s.transaction(async (txn) => {
      await txn.put('unawaited throws', 1);
      throw new Error('nobody waits');
    }).catch(() => {});
    await sleep(20);
    return (await this.keys()).includes('unawaited throws');
  }
  async syncInside() {
    return this.s.transaction(async (txn) => {
      await txn.put('sync inside', 1);
      this.s.transactionSync(() => this.s.kv.put('sync in async', 1));
      attemptSync(() => this.s.transactionSync(() => {
        this.s.kv.put('sync undone', 1);
        throw new Error('no');
      }));
      return [...(await txn.list({ prefix: 'sync' })).keys()];
    });
  }
  asyncInSync() {
    return attemptSync(() => this.s.transactionSync(() => {
      this.s.kv.put('outer sync', 1);
      this.s.transaction(async (txn) => {
        await txn.put('inner async', 1);
      });
      return 'ok';
    }));
  }
  async syncOfStorage() {
    return this.s.transaction(async (txn) => {
      await txn.put('s', 1);
      return enc(await this.s.sync());
    });
  }
  async callOut() {
    return this.s.transaction(async (txn) => {
      await txn.put('called out', 1);
      return this.env.A.getByName('other').note('from transaction');
    });
  }
  async callSelf() {
    return this.s.transaction(async (txn) => attempt(() => Promise.race([this.env.A.getByName('x').keys(), sleep(100).then(() => 'waited in vain')])));
  }
}

export default serve();
