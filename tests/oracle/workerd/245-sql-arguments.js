import { DurableObject } from 'cloudflare:workers';
import { serve, attempt, attemptSync, enc, errInfo, sleep } from 'lib';

export class A extends DurableObject {
  run(query, ...bindings) {
    return attemptSync(() => this.ctx.storage.sql.exec(query, ...bindings).toArray());
  }
  nothing() {
    return attemptSync(() => this.ctx.storage.sql.exec());
  }
  size() {
    const sizes = [this.ctx.storage.sql.databaseSize];
    this.ctx.storage.sql.exec('CREATE TABLE size (b BLOB)');
    sizes.push(this.ctx.storage.sql.databaseSize);
    this.ctx.storage.sql.exec('INSERT INTO size VALUES (zeroblob(100000))');
    sizes.push(this.ctx.storage.sql.databaseSize);
    this.ctx.storage.sql.exec('DELETE FROM size');
    sizes.push(this.ctx.storage.sql.databaseSize);
    return sizes;
  }
  repeated(n) {
    let out;
    for (let i = 0; i < n; i++) out = this.ctx.storage.sql.exec('SELECT ? AS v', String(i)).one();
    return out;
  }
}

export default serve();
