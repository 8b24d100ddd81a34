import { DurableObject } from 'cloudflare:workers';
import { serve, attempt, attemptSync, enc, errInfo, sleep } from 'lib';

export class A extends DurableObject {
  run(query) {
    return attemptSync(() => this.ctx.storage.sql.exec(query).raw().toArray());
  }
}

export default serve();
