import { DurableObject, RpcTarget, RpcStub } from 'cloudflare:workers';
import { serve, attempt, enc, sleep } from 'lib';

class T extends RpcTarget {
  constructor(object) {
    super();
    this.object = object;
  }
  count() {
    return ++this.object.n;
  }
  async store(v) {
    await this.object.ctx.storage.put('v', v);
    return this.object.ctx.storage.get('v');
  }
  hang() {
    return new Promise(() => {});
  }
  abort() {
    this.object.ctx.abort('by target');
  }
  async slow(ms) {
    await sleep(ms);
    return 'slow done';
  }
}
export class A extends DurableObject {
  n = 0;
  target() {
    return new T(this);
  }
  count() {
    return ++this.n;
  }
  hit() {
    return 'hit';
  }
  async relay(name) {
    return this.env.A.getByName(name).target();
  }
  async pingPong(name, depth) {
    if (depth === 0) return [this.ctx.id.name];
    return [this.ctx.id.name, ...(await this.env.A.getByName(name).pingPong(this.ctx.id.name, depth - 1))];
  }
  async withCallback(name) {
    let heard = [];
    const got = await this.env.A.getByName(name).callIt((x) => {
      heard.push(x);
      return ++this.n;
    });
    return [got, heard];
  }
  async callIt(f) {
    return [await f('a'), await f('b')];
  }
  keep(f) {
    this.f = f.dup();
  }
  use(...args) {
    return attempt(() => this.f(...args));
  }
  abort() {
    this.ctx.abort('reset');
  }
  async abortWhile(f) {
    const p = attempt(() => f());
    await sleep(5);
    this.ctx.abort('while callback runs');
  }
  blockTarget() {
    this.ctx.blockConcurrencyWhile(() => sleep(60));
    return 'blocking';
  }
  async giveCallbackTo(name) {
    await this.env.A.getByName(name).keep((x) => ['from', this.ctx.id.name, ++this.n, x]);
  }
}

const get = (env, name = 'x') => env.A.getByName(name);
export default serve({
  // A target is the object's code.
  async shared(env) {
    const t = await get(env).target();
    return [await t.count(), await get(env).count(), await t.count(), await t.store('v')];
  },
  async gated(env) {
    const s = get(env, 'gated');
    const t = await s.target();
    const block = s.blockTarget();
    const c = t.count().then(() => 'count');
    const first = await Promise.race([c, sleep(20).then(() => 'still waiting')]);
    await block;
    return [first, await c];
  },
  async relayed(env) {
    const t = await get(env, 'r1').relay('r2');
    return [await attempt(() => t.count()), await get(env, 'r2').count(), await get(env, 'r1').count()];
  },
  pingPong: (env) => get(env, 'p').pingPong('q', 5),
  withCallback: (env) => get(env, 'w').withCallback('v'),
  async abortBreaks(env) {
    const t = await get(env, 'b').target();
    const hang = attempt(() => t.hang());
    const out = [await t.count(), await attempt(() => get(env, 'b').abort())];
    out.push(await hang, await attempt(() => t.count()), await attempt(() => t.dup().count()), await get(env, 'b').count());
    return out;
  },
  async abortPipelined(env) {
    const s = get(env, 'bp');
    const p = s.target();
    const c = attempt(() => p.hang());
    await sleep(20);
    return [await attempt(() => get(env, 'bp').abort()), await c];
  },
  async callbackOwnerGone(env) {
    await get(env, 'g1').giveCallbackTo('g2');
    const out = [await get(env, 'g2').use(1)];
    await attempt(() => get(env, 'g1').abort());
    out.push(await get(env, 'g2').use(2), await get(env, 'g1').count());
    return out;
  },
  async callbackWhileAborting(env) {
    let ran = 0;
    const out = await attempt(() => get(env, 'ca').abortWhile(async () => { ran++; await sleep(50); ran++; }));
    await sleep(80);
    return [out, ran];
  },
  async keepCallback(env) {
    await get(env, 'k').keep((x) => 'called ' + x);
    return get(env, 'k').use('now');
  },
  useKept: (env) => get(env, 'k').use('later'),
  async keepSlowCallback(env) {
    await get(env, 'ks').keep(async (x) => {
      await sleep(200);
      return 'slow ' + x;
    });
    get(env, 'ks').use('now');
    return 'kept';
  },
  async targetOutlivesRequest(env) {
    await get(env, 'o1').giveCallbackTo('o2');
    return 'given';
  },
  useFromOther: (env) => get(env, 'o2').use('x'),
  // Promises and ordering.
  async orderOfPipelined(env) {
    const s = get(env, 'ord');
    const t = s.target();
    const calls = [t.count(), s.count(), t.count(), s.count()];
    return (await Promise.all(calls)).sort();
  },
  async awaitedTwice(env) {
    const p = get(env, 'tw').count();
    return [await p, await p];
  },
  async thenCatch(env) {
    const p = get(env, 'th').missing();
    return p.catch((e) => ['caught', e.message]);
  },
  async promiseAsArgument(env) {
    return attempt(() => get(env, 'pa').callIt(get(env, 'pa').target().count));
  },
  async promiseAsArgument2(env) {
    return attempt(() => get(env, 'pa').use(get(env, 'pa').target()));
  },
  async stubAsResultOfCallback(env) {
    class Mine extends RpcTarget {
      who() {
        return 'mine';
      }
    }
    return get(env, 'sr').keep(() => 1);
  },
});
