import { DurableObject, RpcTarget, RpcStub } from 'cloudflare:workers';
import { serve, attempt, enc, sleep } from 'lib';

const log = [];
class Res extends RpcTarget {
  constructor(name, log) {
    super();
    this.name = name;
    this.log = log;
  }
  ping() {
    return 'pong ' + this.name;
  }
  self() {
    return this;
  }
  async slow() {
    await sleep(40);
    this.log.push(this.name + ' slow done');
    return 'slow';
  }
  [Symbol.dispose]() {
    this.log.push(this.name + ' disposed');
  }
}
class BadRes extends Res {
  [Symbol.dispose]() {
    this.log.push(this.name + ' disposing badly');
    throw new Error('disposer failed');
  }
}
class DupRes extends Res {
  dup() {
    this.log.push(this.name + ' dup called');
    return new DupRes(this.name + "'", this.log);
  }
}
class BadDup extends Res {
  dup() {
    return { not: 'a target' };
  }
}
export class A extends DurableObject {
  log = [];
  takeLog() {
    return this.log.splice(0);
  }
  res(name) {
    return new Res(name, this.log);
  }
  bad(name) {
    return new BadRes(name, this.log);
  }
  dupRes(name) {
    return new DupRes(name, this.log);
  }
  two() {
    return { one: new Res('one', this.log), more: [new Res('two', this.log)] };
  }
  sameTwice() {
    const r = new Res('same', this.log);
    return [r, r];
  }
  kept() {
    return (this.keptRes ??= new Res('kept', this.log));
  }
  take(stub) {
    return stub.ping();
  }
  ignore() {
    return 'ignored';
  }
  keep(stub) {
    this.stub = stub;
  }
  keepDup(stub) {
    this.stub = stub.dup();
  }
  use() {
    return attempt(() => this.stub.ping());
  }
  giveKept() {
    return this.stub;
  }
  drop() {
    this.stub[Symbol.dispose]();
  }
  throwing(stub) {
    throw new Error('callee failed');
  }
  giveBack(stub) {
    return stub;
  }
  async during(stub) {
    await sleep(20);
    return stub.ping();
  }
  async later(stub) {
    this.ctx.waitUntil(
      (async () => {
        await sleep(20);
        this.laterGot = await attempt(() => stub.ping());
      })()
    );
  }
  laterResult() {
    return this.laterGot;
  }
  callIt(f) {
    return f('x');
  }
}

const get = (env) => env.A.getByName('x');
export default serve({
  async disposeResult(env) {
    const r = await get(env).res('r');
    const out = [await r.ping()];
    r[Symbol.dispose]();
    out.push(await attempt(() => r.ping()));
    r[Symbol.dispose]();
    await sleep(20);
    out.push(await get(env).takeLog());
    return out;
  },
  async disposeDup(env) {
    const r = await get(env).res('d');
    const d = r.dup();
    r[Symbol.dispose]();
    await sleep(20);
    const out = [await get(env).takeLog(), await d.ping()];
    d[Symbol.dispose]();
    await sleep(20);
    out.push(await get(env).takeLog());
    return out;
  },
  async dupOfDisposed(env) {
    const r = await get(env).res('gone');
    r[Symbol.dispose]();
    await sleep(20);
    await get(env).takeLog();
    return attempt(() => r.dup().ping());
  },
  async disposeObjectResult(env) {
    const o = await get(env).two();
    o[Symbol.dispose]();
    await sleep(20);
    return [await attempt(() => o.one.ping()), await get(env).takeLog()];
  },
  async disposeOneOfTwo(env) {
    const o = await get(env).two();
    o.one[Symbol.dispose]();
    await sleep(20);
    const out = [await attempt(() => o.one.ping()), await attempt(() => o.more[0].ping()), await get(env).takeLog()];
    o[Symbol.dispose]();
    await sleep(20);
    out.push(await get(env).takeLog());
    return out;
  },
  async sameTwice(env) {
    const [a, b] = await get(env).sameTwice();
    const out = [a === b];
    a[Symbol.dispose]();
    await sleep(20);
    out.push(await get(env).takeLog(), await attempt(() => b.ping()));
    b[Symbol.dispose]();
    await sleep(20);
    out.push(await get(env).takeLog());
    return out;
  },
  async returnedAgain(env) {
    const a = await get(env).kept();
    const b = await get(env).kept();
    a[Symbol.dispose]();
    await sleep(20);
    const out = [await get(env).takeLog(), await b.ping()];
    b[Symbol.dispose]();
    await sleep(20);
    out.push(await get(env).takeLog());
    const c = await get(env).kept();
    out.push(await attempt(() => c.ping()));
    c[Symbol.dispose]();
    await sleep(20);
    await get(env).takeLog();
    return out;
  },
  async selfReturned(env) {
    const a = await get(env).res('self');
    const b = await a.self();
    a[Symbol.dispose]();
    await sleep(20);
    const out = [await get(env).takeLog(), await attempt(() => b.ping())];
    b[Symbol.dispose]();
    await sleep(20);
    out.push(await get(env).takeLog());
    return out;
  },
  async badDisposer(env) {
    const r = await get(env).bad('bad');
    r[Symbol.dispose]();
    await sleep(20);
    return [await get(env).takeLog(), await attempt(() => get(env).ignore())];
  },
  async disposeDuringCall(env) {
    const r = await get(env).res('busy');
    const slow = attempt(() => r.slow());
    r[Symbol.dispose]();
    const out = [await slow];
    await sleep(20);
    out.push(await get(env).takeLog());
    return out;
  },
  async disposePromise(env) {
    const p = get(env).res('promised');
    p[Symbol.dispose]();
    await sleep(30);
    return [await get(env).takeLog(), await attempt(async () => typeof (await p)), await attempt(() => p.ping())];
  },
  async disposePromiseLater(env) {
    const p = get(env).res('promised');
    const r = await p;
    p[Symbol.dispose]();
    await sleep(20);
    return [await get(env).takeLog(), await attempt(() => r.ping())];
  },
  async pipelineDisposes(env) {
    const out = [await get(env).res('between').ping()];
    await sleep(30);
    out.push(await get(env).takeLog());
    return out;
  },
  // Targets in parameters.
  async paramTarget(env) {
    const mine = [];
    const out = [await get(env).take(new Res('param', mine))];
    await sleep(20);
    return [...out, mine];
  },
  async paramIgnored(env) {
    const mine = [];
    const out = [await get(env).ignore(new Res('param', mine))];
    await sleep(20);
    return [...out, mine];
  },
  async paramTwice(env) {
    const mine = [];
    const r = new Res('twice', mine);
    const out = [await get(env).take(r), await get(env).take(r)];
    await sleep(20);
    return [...out, mine];
  },
  async paramWithDup(env) {
    const mine = [];
    const out = [await get(env).take(new DupRes('dupper', mine))];
    await sleep(20);
    return [...out, mine];
  },
  async paramWithBadDup(env) {
    return attempt(() => get(env).take(new BadDup('bad dup', [])));
  },
  async resultWithDup(env) {
    const r = await get(env).dupRes('result');
    const out = [await r.ping()];
    r[Symbol.dispose]();
    await sleep(20);
    return [...out, await get(env).takeLog()];
  },
  async paramStub(env) {
    const mine = [];
    const s = new RpcStub(new Res('stub', mine));
    const out = [await get(env).take(s)];
    await sleep(20);
    out.push([...mine], await attempt(() => s.ping()));
    s[Symbol.dispose]();
    await sleep(20);
    return [...out, mine];
  },
  async paramThrown(env) {
    const mine = [];
    const out = [await attempt(() => get(env).throwing(new Res('thrown', mine)))];
    await sleep(20);
    return [...out, mine];
  },
  async paramKept(env) {
    const mine = [];
    await get(env).keep(new Res('kept param', mine));
    await sleep(20);
    return [await get(env).use(), mine];
  },
  async paramKeptDup(env) {
    const mine = [];
    await get(env).keepDup(new Res('kept dup', mine));
    await sleep(20);
    const out = [await get(env).use(), [...mine]];
    await get(env).drop();
    await sleep(20);
    return [...out, mine];
  },
  async keptGiven(env) {
    const mine = [];
    await get(env).keepDup(new Res('given', mine));
    const back = await get(env).giveKept();
    const out = [await back.ping(), await get(env).use()];
    back[Symbol.dispose]();
    await sleep(20);
    return [...out, mine];
  },
  async givenBack(env) {
    const mine = [];
    const back = await get(env).giveBack(new Res('back', mine));
    await sleep(20);
    const out = [await attempt(() => back.ping()), [...mine]];
    back[Symbol.dispose]();
    await sleep(20);
    return [...out, mine];
  },
  async paramDisposedMeanwhile(env) {
    const mine = [];
    const s = new RpcStub(new Res('meanwhile', mine));
    const call = attempt(() => get(env).during(s));
    s[Symbol.dispose]();
    const out = [await call];
    await sleep(20);
    return [...out, mine];
  },
  async paramAfterReturn(env) {
    const mine = [];
    await get(env).later(new Res('after return', mine));
    await sleep(50);
    return [await get(env).laterResult(), mine];
  },
  async disposedParam(env) {
    const s = new RpcStub(new Res('disposed', []));
    s[Symbol.dispose]();
    return attempt(() => get(env).take(s));
  },
  async sentStubOfA(env) {
    const r = await get(env).res('of a');
    const out = [await env.A.getByName('y').take(r), await attempt(() => r.ping())];
    r[Symbol.dispose]();
    await sleep(20);
    return [...out, await get(env).takeLog()];
  },
  async objectStubDisposed(env) {
    const s = get(env);
    const out = [await s.ignore()];
    out.push(await attempt(() => s[Symbol.dispose]()));
    out.push(await attempt(() => s.ignore()));
    return out;
  },
  async objectStubDup(env) {
    return attempt(() => get(env).dup().ignore());
  },
  async functionParam(env) {
    const f = (x) => 'f ' + x;
    const out = [await get(env).callIt(f), await get(env).callIt(f), f('still mine')];
    return out;
  },
  wraps(env, ctx, kind) {
    const v = {
      plain: () => ({ a: 1 }),
      target: () => new Res('w', []),
      fn: () => () => 1,
      array: () => [1],
      number: () => 5,
      nothing: () => null,
      text: () => 'text',
      date: () => new Date(0),
      instance: () => new (class X {})(),
      stub: () => new RpcStub(() => 1),
      map: () => new Map(),
    }[kind]();
    return attempt(() => typeof new RpcStub(v));
  },
  async localStub(env) {
    const v = { n: 1, deep: { fn: () => 'called' }, list: [1] };
    const s = new RpcStub(v);
    const arg = { a: 1 };
    const f = new RpcStub((x) => {
      x.a = 2;
      return x;
    });
    const back = await f(arg);
    return [await s.n, await s.deep.fn(), enc(await s.list), await attempt(() => s.missing), arg.a, back.a];
  },
  async localError(env) {
    const f = new RpcStub(() => {
      throw new TypeError('local');
    });
    return attempt(() => f());
  },
});
