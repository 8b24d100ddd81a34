import { DurableObject } from 'cloudflare:workers';
import { serve, attempt, attemptSync, enc, errInfo, sleep } from 'lib';

export class A extends DurableObject {
  facts() {
    return { id: String(this.ctx.id), name: this.ctx.id.name, same: this.ctx.id.equals(this.env.A.idFromName('alpha')) };
  }
}
export class B extends DurableObject {
  facts() {
    return { id: String(this.ctx.id), name: this.ctx.id.name };
  }
}

export default serve({
  parse(env, ctx, cls, text) {
    const id = env[cls].idFromString(text);
    return { id: String(id), name: id.name, named: id.equals(env[cls].idFromName('alpha')) };
  },
  async inside(env, ctx, cls, name) {
    return env[cls].getByName(name).facts();
  },
  async throughString(env, ctx, cls, name) {
    return env[cls].get(env[cls].idFromString(String(env[cls].idFromName(name)))).facts();
  },
  async nameLength(env, ctx, size) {
    const name = (await env.A.getByName('x'.repeat(size)).facts()).name;
    return name === undefined ? null : name.length;
  },
  async nameLengthUnicode(env, ctx, size) {
    const name = (await env.A.getByName('\u00e9'.repeat(size)).facts()).name;
    return name === undefined ? null : name.length;
  },
  stubNameLength: (env, ctx, size) => env.A.getByName('x'.repeat(size)).name.length,
  wrongNamespace: (env) => String(env.B.get(env.A.idFromName('alpha')).id),
  equalsOther: (env) => env.A.idFromName('alpha').equals(env.B.idFromName('alpha')),
  equalsText: (env) => env.A.idFromName('alpha').equals('alpha'),
});
