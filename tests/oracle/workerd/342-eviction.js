import { DurableObject } from 'cloudflare:workers';
import { serve, attempt, attemptSync, enc, errInfo, sleep } from 'lib';

let built = 0;
export class A extends DurableObject {
  hits = 0;
  constructor(ctx, env) {
    super(ctx, env);
    built++;
  }
  hit() {
    return { hits: ++this.hits, built };
  }
  put(key, value) {
    this.ctx.storage.put(key, value);
    return 'put';
  }
  get(key) {
    return this.ctx.storage.get(key);
  }
  cursor() {
    this.ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS t (n); INSERT INTO t VALUES (1), (2)');
    this.c = this.ctx.storage.sql.exec('SELECT n FROM t');
    return this.c.next().value.n;
  }
  async slow(ms) {
    await sleep(ms);
    return 'done';
  }
  pragma() {
    this.ctx.storage.sql.exec('PRAGMA case_sensitive_like = ON');
    return this.ctx.storage.sql.exec("SELECT 'a' LIKE 'A' AS v").one().v;
  }
  like() {
    return this.ctx.storage.sql.exec("SELECT 'a' LIKE 'A' AS v").one().v;
  }
  fk() {
    return this.ctx.storage.sql.exec('PRAGMA foreign_keys').one();
  }
  fkOff() {
    this.ctx.storage.sql.exec('PRAGMA foreign_keys = OFF');
    return this.fk();
  }
}

export default serve({
  async oldStub(env) {
    const stub = env.A.getByName('x');
    await stub.hit();
    return stub.hit();
  },
});
