import { DurableObject, RpcTarget, RpcStub } from 'cloudflare:workers';
import { serve, attempt, enc, sleep } from 'lib';

class Item extends RpcTarget {
  constructor(name, log) {
    super();
    this.name = name;
    this.log = log;
  }
  hi(x) {
    return `${this.name} ${x}`;
  }
  get me() {
    return this;
  }
  get fn() {
    return (x) => `fn ${x}`;
  }
  get failing() {
    throw new TypeError('getter failed');
  }
  [Symbol.dispose]() {
    this.log.push(this.name);
  }
}
export class A extends DurableObject {
  log = [];
  takeLog() {
    return this.log.splice(0);
  }
  item(name) {
    return new Item(name, this.log);
  }
  many() {
    return { list: [new Item('a', this.log), new Item('b', this.log)], deep: { c: new Item('c', this.log) }, n: 5, s: 'text', no: null };
  }
  get prop() {
    return { item: new Item('prop', this.log), fn: (x) => x + 1 };
  }
  get target() {
    return new Item('target', this.log);
  }
  get func() {
    return (...args) => args.length;
  }
  count(...args) {
    return args.length;
  }
  echo(v) {
    return v;
  }
  wrap(v) {
    return { a: [v], b: { c: v } };
  }
  nothing() {}
  async call(f, ...args) {
    return f(...args);
  }
  async attemptCall(f, ...args) {
    return attempt(() => f(...args));
  }
  async callAll(o) {
    return [await o.f(1), await o.list[0](2), await o.deep.g.hi(3)];
  }
  async callLater(f) {
    this.f = f.dup();
  }
  useF(x) {
    return attempt(() => this.f(x));
  }
  async twoAtOnce(f) {
    return Promise.all([f(1), f(2), f(3)]);
  }
  add(n) {
    this.log.push(n);
  }
  fails() {
    throw new RangeError('failed');
  }
  async slowItem() {
    await sleep(20);
    return new Item('slow', this.log);
  }
}

const get = (env) => env.A.getByName('x');
export default serve({
  async getterTarget(env) {
    return [await get(env).target.hi(1), await get(env).prop.item.hi(2), await get(env).prop.fn(3)];
  },
  async getterFunction(env) {
    return [await get(env).func(), await get(env).func(1, 2, 3), typeof (await get(env).func)];
  },
  async getterOfTarget(env) {
    using i = await get(env).item('i');
    return [await i.me.hi(1), await i.me.me.hi(2), await i.fn(3)];
  },
  async getterFails(env) {
    using i = await get(env).item('i');
    return [await attempt(() => i.failing), await attempt(() => i.failing.x), await attempt(() => i.failing()), await attempt(() => i.me.failing.y())];
  },
  async counts(env) {
    return [await get(env).count(), await get(env).count(1), await get(env).count(...Array(300).fill(0))];
  },
  async pipelinePaths(env) {
    const a = get(env);
    return [
      await a.many().deep.c.hi(2),
      await a.many().n,
      await attempt(() => a.many().n()),
      await attempt(() => a.many().n.x),
      await attempt(() => a.many().n.x()),
      await attempt(() => a.many().missing()),
      await attempt(() => a.many().missing.x()),
      await attempt(() => a.many().no.x()),
      await attempt(() => a.nothing().x()),
      await attempt(() => a.count().x()),
      await attempt(() => a.fails().x.y()),
      await attempt(() => a.fails().x),
    ];
  },
  async awaitTwice(env) {
    const p = get(env).item('twice');
    const [one, two] = [await p, await p];
    return [one === two, await one.hi(1), await p.hi(2), await two.me.hi(3)];
  },
  async propertyOfStubOfPromise(env) {
    const p = get(env).slowItem();
    const me = p.me;
    const [a, b] = await Promise.all([me.hi(1), p.hi(2)]);
    return [a, b];
  },
  async argumentsNested(env) {
    const log = [];
    const s = new RpcStub(new Item('mine', log));
    const out = await get(env).callAll({ f: (x) => 'f' + x, list: [(x) => 'l' + x], deep: { g: s } });
    const again = await s.hi('again');
    s[Symbol.dispose]();
    await sleep(20);
    return [...out, again, log];
  },
  async echoed(env) {
    const f = await get(env).echo((x) => 'mine ' + x);
    const w = await get(env).wrap((x) => 'wrapped ' + x);
    return [await f(1), await w.a[0](2), await w.b.c(3)];
  },
  async sameInWrap(env) {
    const log = [];
    const w = await get(env).wrap(new Item('w', log));
    const out = [await w.a[0].hi(1), await w.b.c.hi(2)];
    w[Symbol.dispose]();
    await sleep(20);
    return [...out, log];
  },
  async throwing(env) {
    const thrown = [5, 'text', null, new TypeError('t'), new (class Own extends Error {})('own')];
    const out = [];
    for (const what of thrown) {
      out.push(
        await get(env).attemptCall(() => {
          throw what;
        })
      );
    }
    return out;
  },
  async throughBoth(env) {
    return attempt(() =>
      get(env).call(() => {
        throw new RangeError('both ways');
      })
    );
  },
  async twoAtOnce(env) {
    const order = [];
    const out = await get(env).twoAtOnce(async (n) => {
      order.push(n);
      await sleep(10 * (4 - n));
      return n;
    });
    return [order, out];
  },
  async disposerOrder(env) {
    await get(env).takeLog();
    const m = await get(env).many();
    m[Symbol.dispose]();
    await sleep(20);
    return get(env).takeLog();
  },
  async disposeOneThenAll(env) {
    const m = await get(env).many();
    m.deep.c[Symbol.dispose]();
    m.list[1][Symbol.dispose]();
    m[Symbol.dispose]();
    await sleep(20);
    return get(env).takeLog();
  },
  async order(env) {
    const a = get(env);
    await a.takeLog();
    await Promise.all([a.add(1), a.add(2), a.add(3), a.add(4)]);
    return (await a.takeLog()).filter((x) => typeof x === 'number');
  },
  async callOfUncallable(env) {
    using i = await get(env).item('i');
    return [await attempt(() => i()), await attempt(() => get(env).echo({ a: 1 })()), await attempt(() => get(env).echo(5)())];
  },
  async functionMembers(env) {
    const f = (x) => x;
    f.own = 7;
    f.sub = (x) => x * 2;
    const g = await get(env).echo(f);
    return [await g.own, await g.sub(4), await attempt(() => g.missing), await attempt(() => g.call(null, 1))];
  },
  async localDict(env) {
    const s = new RpcStub({ a: { f: () => 'f' }, n: 1 });
    return [await s.a.f(), await s.n, await attempt(() => s.a.missing()), await attempt(() => s.n.x), await attempt(() => s())];
  },
  async keptUse(env) {
    await get(env).callLater((x) => 'kept ' + x);
    return get(env).useF(1);
  },
  async keptUseAfter(env) {
    return get(env).useF(2);
  },
});
