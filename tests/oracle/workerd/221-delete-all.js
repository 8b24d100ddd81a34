import { DurableObject } from 'cloudflare:workers';
import { serve, attempt, attemptSync, enc, errInfo, sleep } from 'lib';

export class A extends DurableObject {
  memory = 0;
  get s() {
    return this.ctx.storage;
  }
  async fill() {
    this.memory++;
    this.s.sql.exec('CREATE TABLE t (n); INSERT INTO t VALUES (1); CREATE INDEX i ON t (n); CREATE VIEW v AS SELECT n FROM t');
    await this.s.put('k', 1);
  }
  async all() {
    return { memory: this.memory, keys: [...(await this.s.list()).keys()], tables: this.s.sql.exec('SELECT name FROM sqlite_master ORDER BY name').toArray().map((r) => r.name) };
  }
  async wipe() {
    const got = await this.s.deleteAll();
    return { got: enc(got), ...(await this.all()) };
  }
  async wipeAndWrite() {
    await this.s.put('before', 1);
    this.s.deleteAll();
    await this.s.put('after', 1);
    this.s.sql.exec('CREATE TABLE again (n)');
    return this.all();
  }
  async writesOfTheTurn() {
    this.s.put('same turn', 1);
    this.s.sql.exec('CREATE TABLE same_turn (n)');
    await this.s.deleteAll();
    return this.all();
  }
  wipeThenThrow() {
    this.s.deleteAll();
    throw new Error('after wiping');
  }
  async wipeThenAbort() {
    this.s.deleteAll();
    this.ctx.abort('stop');
  }
  inTransaction() {
    return attempt(() => this.s.transaction(async () => this.s.deleteAll()));
  }
  inTransactionSync() {
    return attemptSync(() => this.s.transactionSync(() => {
      this.s.put('inside', 1);
      this.s.deleteAll();
      return 'passed';
    }));
  }
  async cursors() {
    this.s.sql.exec('CREATE TABLE c (n); INSERT INTO c VALUES (1), (2), (3)');
    const cursor = this.s.sql.exec('SELECT n FROM c');
    cursor.next();
    this.s.kv.put('x', 1);
    this.s.kv.put('y', 1);
    const it = this.s.kv.list();
    it.next();
    await this.s.deleteAll();
    return [attemptSync(() => cursor.toArray()), attemptSync(() => cursor.columnNames), attemptSync(() => it.next())];
  }
  async twice() {
    await this.s.deleteAll();
    await this.s.deleteAll();
    return this.all();
  }
  size() {
    return this.s.sql.databaseSize;
  }
  autoincrement() {
    this.s.sql.exec('CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT)');
    this.s.sql.exec('INSERT INTO a DEFAULT VALUES; INSERT INTO a DEFAULT VALUES');
    this.s.deleteAll();
    this.s.sql.exec('CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT)');
    return this.s.sql.exec('INSERT INTO a DEFAULT VALUES RETURNING id').one();
  }
}

export default serve();
