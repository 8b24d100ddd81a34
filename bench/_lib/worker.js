// The application under load, for workerd; `app.py` is the same for Perdure, line by line.
import { DurableObject } from 'cloudflare:workers';

const RECORD = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`field ${n}`, 'x'.repeat(85)])); // 1 KB, keys included

export class Plain extends DurableObject {
  async ping() {
    return 'pong';
  }
  sync() {
    return 'pong';
  }
  async take(record) {
    return Object.keys(record).length;
  }
  async call(callback) {
    return await callback('pong');
  }
  async fetch(request) {
    return new Response('pong');
  }
}

export class Item extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.sql = ctx.storage.sql;
    this.calls = 0;
    this.sql.exec('CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, body BLOB)');
  }
  async add() {
    this.calls += 1;
    return this.sql
      .exec('INSERT INTO item (id, n) VALUES (0, 1) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n')
      .one().n;
  }
  async total() {
    return this.sql.exec('SELECT ifnull(max(n), 0) AS n FROM item WHERE id = 0').one().n;
  }
  async read(row) {
    return this.sql.exec('SELECT n FROM item WHERE id = ?', row).one().n;
  }
  async seed(rows) {
    for (let row = 0; row < rows; row++)
      this.sql.exec('INSERT OR REPLACE INTO item (id, n) VALUES (?, ?)', row, row * 7);
    return rows;
  }
  async fill(size) {
    this.sql.exec('INSERT INTO item (n, body) VALUES (?, randomblob(?))', size, size);
    return size;
  }
  async stored() {
    return this.sql.exec('SELECT ifnull(sum(length(body)), 0) AS n FROM item').one().n;
  }
  async calls_heard() {
    return this.calls;
  }
}

export class Room extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.messages = 0;
  }
  async fetch(request) {
    const [client, server] = Object.values(new WebSocketPair());
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }
  webSocketMessage(ws, message) {
    this.messages += 1;
    if (message === 'count') ws.send(String(this.messages));
    else if (message.startsWith('all')) for (const member of this.ctx.getWebSockets()) member.send(message);
    else ws.send(message);
  }
}

let fired = 0;

export class Waking extends DurableObject {
  async set(atMs) {
    await this.ctx.storage.setAlarm(atMs);
    return atMs;
  }
  async alarm() {
    await this.ctx.storage.put('ran', true);
    fired += 1;
  }
}

export default {
  async fetch(request, env) {
    // /<kind>/<name>/<what>[/<number>]
    const [, kind, name, what, number] = new URL(request.url).pathname.split('/');
    if (kind === 'none') return new Response('none');
    if (kind === 'room') return await env.ROOM.getByName(name).fetch(request);
    const stub = (kind === 'plain' ? env.PLAIN : env.ITEM).getByName(name);
    const n = number ? Number(number) : 0;
    if (kind === 'alarm')
      return new Response(String(what === 'fired' ? fired : await env.WAKING.getByName(name).set(n)));
    switch (what) {
      case 'ping':
        return new Response(await stub.ping());
      case 'fetch':
        return await stub.fetch(request);
      case 'add':
        return new Response(String(await stub.add()));
      case 'read':
        return new Response(String(await stub.read(n)));
      case 'total':
        return new Response(String(await stub.total()));
      case 'seed':
        return new Response(String(await stub.seed(n)));
      case 'fill':
        return new Response(String(await stub.fill(n)));
      case 'stored':
        return new Response(String(await stub.stored()));
      case 'calls':
        return new Response(String(await stub.calls_heard()));
      case 'sum': { // of the objects <name>-0 … <name>-<n - 1>
        let found = 0;
        for (let i = 0; i < n; i++) found += await env.ITEM.getByName(`${name}-${i}`).total();
        return new Response(String(found));
      }
      case 'loop-ping':
        for (let i = 0; i < n; i++) await stub.ping();
        return new Response(String(n));
      case 'loop-sync':
        for (let i = 0; i < n; i++) await stub.sync();
        return new Response(String(n));
      case 'loop-dict':
        for (let i = 0; i < n; i++) await stub.take(RECORD);
        return new Response(String(n));
      case 'loop-callback':
        for (let i = 0; i < n; i++) await stub.call((text) => text);
        return new Response(String(n));
      case 'rounds-ping':
        for (let i = 0; i < n / 64; i++) await Promise.all(Array.from({ length: 64 }, () => stub.ping()));
        return new Response(String(n));
      case 'loop-add':
        for (let i = 0; i < n; i++) await stub.add();
        return new Response(String(n));
    }
    return new Response('unknown', { status: 404 });
  },
};
