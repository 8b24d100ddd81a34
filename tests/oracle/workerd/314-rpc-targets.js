import { DurableObject, RpcTarget, RpcStub } from 'cloudflare:workers';
import { serve, attempt, enc, sleep } from 'lib';

class Node extends RpcTarget {
  instance = 'own';
  constructor(object, name) {
    super();
    this.object = object;
    this.name = name;
  }
  where() {
    return this.name;
  }
  get value() {
    return { n: 1, list: [10, 20] };
  }
  get broken() {
    throw new TypeError('getter broke');
  }
  get slow() {
    return sleep(5).then(() => 'slow value');
  }
  get fn() {
    return (x) => x + 1;
  }
  child(name) {
    return new Node(this.object, this.name + '/' + name);
  }
  fail() {
    throw new RangeError('target failed');
  }
  #hidden() {
    return 'hidden';
  }
  _under() {
    return 'under';
  }
  static stat() {
    return 'static';
  }
  // Names that are reserved on objects.
  fetch() {
    return 'fetch of target';
  }
  alarm() {
    return 'alarm of target';
  }
  connect() {
    return 'connect of target';
  }
  webSocketMessage() {
    return 'message of target';
  }
  dispose() {
    return 'dispose of target';
  }
  map() {
    return 'map of target';
  }
}
export class A extends DurableObject {
  node() {
    return new Node(this, 'root');
  }
  plain() {
    return { n: 5, list: [1, { deep: 2 }], text: 'text', nothing: null, date: new Date(5), map: new Map([['k', 1]]), fn: (x) => x * 2, node: new Node(this, 'in plain') };
  }
  list() {
    return [new Node(this, 'first'), new Node(this, 'second')];
  }
  fn() {
    const f = (x) => 'fn ' + x;
    f.extra = 'extra value';
    f.method = () => 'own method';
    return f;
  }
  bound() {
    return this.whoami.bind(this);
  }
  whoami() {
    return this.ctx.id.name;
  }
  number() {
    return 5;
  }
  text() {
    return 'text';
  }
  nothing() {
    return null;
  }
  undef() {}
  date() {
    return new Date(5);
  }
  deepError() {
    throw new Error('deep error');
  }
  get prop() {
    return { inner: { node: new Node(this, 'of prop') } };
  }
}

const stub = (env) => env.A.getByName('x');
export default serve({
  async member(env, ctx, name) {
    const node = await stub(env).node();
    return attempt(() => node[name]('arg'));
  },
  async read(env, ctx, name) {
    const node = await stub(env).node();
    const v = await node[name];
    return typeof v === 'function' ? 'a function' : v;
  },
  async path(env, ctx, ...names) {
    const node = await stub(env).node();
    let at = node;
    for (const name of names) at = at[name];
    return attempt(async () => enc(await at));
  },
  async pathCall(env, ctx, ...names) {
    const node = await stub(env).node();
    let at = node;
    for (const name of names) at = at[name];
    return attempt(async () => enc(await at(1)));
  },
  // The same on an un-awaited result.
  async pipe(env, ctx, method, ...names) {
    let at = stub(env)[method]();
    for (const name of names) at = at[name];
    return attempt(async () => {
      const v = await at;
      return typeof v === 'function' ? 'a function' : enc(v);
    });
  },
  async pipeCall(env, ctx, method, ...names) {
    let at = stub(env)[method]();
    for (const name of names) at = at[name];
    return attempt(async () => enc(await at(1)));
  },
  async prop(env) {
    return [await stub(env).prop.inner.node.where(), await stub(env).prop.inner.node.child('c').where()];
  },
  async callProp(env) {
    return attempt(() => stub(env).prop());
  },
  async callDeepProp(env) {
    return attempt(() => stub(env).prop.inner());
  },
  async listStubs(env) {
    const [a, b] = await stub(env).list();
    return [await a.where(), await b.where()];
  },
  async fnResult(env) {
    const f = await stub(env).fn();
    return [await f(1), await attempt(() => f.extra), await attempt(() => f.method()), await attempt(() => f.missing), await attempt(() => f.name)];
  },
  async methodAsValue(env) {
    const m = await stub(env).whoami;
    return [typeof m, await attempt(() => m())];
  },
  async depth(env, ctx, n) {
    return attempt(async () => {
      let at = stub(env).plain();
      for (let i = 0; i < n; i++) at = at.x;
      return enc(await at);
    });
  },
  async depthOfStub(env, ctx, n) {
    return attempt(async () => {
      let at = stub(env);
      for (let i = 0; i < n; i++) at = at.x;
      return enc(await at);
    });
  },
  async sameTargetTwice(env) {
    const a = await stub(env).node();
    const b = await stub(env).node();
    return a === b;
  },
});
