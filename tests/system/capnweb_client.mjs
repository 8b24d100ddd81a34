// The list that the official client plays against a server of ours: node capnweb_client.mjs URL KIND
import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { RpcSession, RpcTarget, RpcStub, WebSocketTransport, newHttpBatchRpcSession } from 'capnweb';

const url = process.argv[2];

class Page extends RpcTarget {
  title() { return 'a page'; }
  async add(a, b) { return a + b; }
}

async function open(path = '/') {
  const socket = new WebSocket(url.replace('http', 'ws') + path);
  await new Promise((done, failed) => { socket.on('open', done); socket.on('error', failed); });
  const session = new RpcSession(new WebSocketTransport(socket), new Page());
  return { socket, session, api: session.getRemoteMain() };
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function tables(session) {
  const server = await (await fetch(url + '/tables')).json();
  return { client: session.getStats(), server };
}

// Each test has a connection of its own; after it, both sides know nothing but the main objects.
async function test(name, play, path) {
  const { socket, session, api } = await open(path);
  await play(api, session);
  const empty = { client: { imports: 1, exports: 1 }, server: [[1, 1]] };
  for (let tries = 0; ; tries++) {
    try { assert.deepEqual(await tables(session), empty); break; }
    catch (error) { if (tries > 200) throw new Error(`${name}: ${error.message}`); await sleep(10); }
  }
  const closed = new Promise((done) => socket.on('close', done));
  api[Symbol.dispose]();
  await closed;
  for (let tries = 0; (await (await fetch(url + '/tables')).json()).length; tries++) {
    assert.ok(tries < 200, `${name}: the server still has the session`);
    await sleep(10);
  }
  console.log('ok', name);
}

async function fails(promise, check) {
  try { await promise; } catch (error) { return check(error); }
  assert.fail('it did not fail');
}

await test('calls', async (api) => {
  assert.equal(await api.add(1, 2), 3);
  assert.equal(await api.add(1, { '**': { b: 5 } }), 6);
  assert.equal(await api.nothing(), null);
});

await test('values', async (api) => {
  const values = [
    null, true, 0, -1.5, 1e20, 2 ** 53 - 1, NaN, Infinity, -Infinity, 5n, -(10n ** 40n), 'text ☃ \ud800 \u2028', '',
    [], [[]], [1, [2, { a: [3] }]], {}, { a: { b: null } }, new Date(0), new Date(1700000000123),
    new Float64Array([1.5, -2]), new Int16Array([1, -1]), new BigInt64Array([5n]), new Uint8Array([1, 2, 255]).buffer,
  ];
  for (const value of values) assert.deepEqual(await api.echo(value), value);
  assert.deepEqual(new Uint8Array(await api.echo(new Uint8Array([0, 255]))), new Uint8Array([0, 255]));
  assert.equal(await api.echo(undefined), null);
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => ['key' + i, [i]]));
  assert.deepEqual(await api.echo(many), many);
  const large = 'x'.repeat(5_000_000);
  assert.equal(await api.echo(large), large);
});

await test('http messages', async (api) => {
  const headers = await api.echo(new Headers([['a', 'b'], ['set-cookie', 'x=1'], ['set-cookie', 'y=2']]));
  assert.deepEqual([...headers], [['a', 'b'], ['set-cookie', 'x=1'], ['set-cookie', 'y=2']]);
  const response = await api.respond(new Request('http://a/b', { method: 'PUT', body: 'the body' }));
  assert.equal(response.status, 201);
  assert.equal(response.headers.get('x-method'), 'PUT');
  assert.equal(await response.text(), 'the body');
  const echoed = await api.echo(new Response('again', { status: 404, statusText: 'Gone fishing' }));
  assert.deepEqual([echoed.status, echoed.statusText, await echoed.text()], [404, 'Gone fishing', 'again']);
});

await test('blobs', async (api) => {
  const blob = await api.blob('from the server');
  assert.deepEqual([blob.type, await blob.text()], ['text/plain', 'from the server']);
  const large = new Blob(['y'.repeat(300_000)], { type: 'a/b' });
  const back = await api.echo(large);
  assert.deepEqual([back.type, back.size, await back.text()], ['a/b', 300_000, await large.text()]);
});

await test('errors', async (api) => {
  await fails(api.raises('range'), (error) => {
    assert.ok(error instanceof RangeError);
    assert.deepEqual([error.message, error.remote], ['out of range', true]);
  });
  await fails(api.raises('type'), (error) => assert.ok(error instanceof TypeError));
  await fails(api.raises('other'), (error) => {
    assert.equal(error.constructor, Error);
    assert.deepEqual([error.message, error.pyType, error.code], ["'other'", 'KeyError', 17]);
  });
  await fails(api.raises('group'), (error) => {
    assert.ok(error instanceof AggregateError);
    assert.deepEqual(error.errors.map((e) => e.constructor.name), ['RangeError', 'TypeError']);
  });
  for (const name of ['missing', '_private', 'kept', '__init__', 'dispose', '__class__'])
    await fails(api[name](), (error) => assert.ok(error instanceof TypeError, name));
  await fails(api.add(), (error) => assert.ok(error instanceof TypeError));
  const error = await api.echo(new RangeError('mine', { cause: new TypeError('why') }));
  assert.ok(error instanceof RangeError && error.cause instanceof TypeError);
});

await test('callbacks', async (api) => {
  assert.equal(await api.call((x) => x * 2, 21), 42);
  assert.equal(await api.call_later(async (x) => x + 1, 1), 2);
  await fails(api.call(() => { throw new RangeError('no'); }), (error) => {
    assert.ok(error instanceof RangeError);
    assert.equal(error.message, 'no');
  });
  const triple = await api.function(3);
  assert.equal(await triple(5), 15);
  triple[Symbol.dispose]();
});

await test('a stub that is kept', async (api) => {
  let called = 0;
  await api.keep((x) => { called++; return x; });
  assert.equal(await api.use_kept('hello'), 'hello');
  assert.deepEqual(await api.use_kept([1]), [1]);
  await api.drop_kept();
  assert.equal(called, 2);
});

await test('targets', async (api) => {
  const room = await api.room('a');
  assert.equal(await room.name, 'a');
  assert.deepEqual(await room.messages(), ['in a', 'bye']);
  const me = await room.me();
  assert.deepEqual(me.more, [1, { a: null }]);
  assert.equal(await me.room.name, 'a');
  me[Symbol.dispose]();
  room[Symbol.dispose]();
});

await test('stubs given back', async (api) => {
  const room = await api.room('back');
  const again = await api.echo(room);
  assert.equal(await again.name, 'back');
  again[Symbol.dispose]();
  room[Symbol.dispose]();
  const page = new RpcStub(new Page());
  const mine = await api.echo(page);
  assert.equal(await mine.title(), 'a page');
  mine[Symbol.dispose]();
  page[Symbol.dispose]();
});

// In JavaScript nobody counts references: what was called and not awaited is disposed by hand.
const kept = [];
const keep = (promise) => { kept.push(promise); return promise; };
const letGo = () => { for (const promise of kept.splice(0)) promise[Symbol.dispose](); };

await test('pipelining', async (api) => {
  assert.deepEqual(await keep(api.room('a')).messages(), ['in a', 'bye']);
  assert.equal(await keep(keep(api.room('b')).me()).room.name, 'b');
  assert.equal(await api.add(keep(api.add(1, 2)), keep(api.add(10, 20))), 33);
  await fails(keep(api.raises('range')).anything.at.all(), (error) => assert.ok(error instanceof RangeError));
  keep(api.room('unused'));
  letGo();
});

await test('map', async (api) => {
  const rooms = keep(api.rooms('a', 'b', 'c'));
  assert.deepEqual(await rooms.map((room) => room.name), ['a', 'b', 'c']);
  assert.deepEqual(
    await keep(api.echo([1, 2, 3])).map((n) => ({ n, sum: api.add(n, 10), list: [n, 'x'] })),
    [1, 2, 3].map((n) => ({ n, sum: n + 10, list: [n, 'x'] })),
  );
  assert.equal(await keep(api.echo(5)).map((n) => api.add(n, n)), 10);
  assert.equal(await keep(api.echo(null)).map((n) => api.add(n, n)), null);
  assert.deepEqual(
    await keep(api.echo([[1, 2], [3]])).map((list) => list.map((n) => api.add(n, 1))),
    [[2, 3], [4]],
  );
  const page = new RpcStub(new Page());
  assert.deepEqual(await keep(api.echo([1, 2])).map((n) => page.add(n, 100)), [101, 102]);
  page[Symbol.dispose]();
  await fails(rooms.map((room) => room.missing()), (error) => assert.ok(error instanceof TypeError));
  letGo();
});

await test('streams to the server', async (api) => {
  const numbers = (count) => new ReadableStream({
    start(controller) { for (let i = 0; i < count; i++) controller.enqueue(i); controller.close(); },
  });
  assert.equal(await api.sum(numbers(100)), 4950);
  let sent = 0, cancelled = false;
  const endless = new ReadableStream({
    pull(controller) { sent++; controller.enqueue(1); },
    cancel() { cancelled = true; },
  });
  assert.equal(await api.sum_two(endless), 3);
  for (let tries = 0; !cancelled; tries++) { assert.ok(tries < 500); await sleep(10); }
  const broken = new ReadableStream({
    pull(controller) { controller.error(new RangeError('broken')); },
  });
  await fails(api.sum(broken), (error) => assert.equal(error.message, 'broken'));
  const bytes = new ReadableStream({
    start(controller) { for (let i = 0; i < 50; i++) controller.enqueue(new Uint8Array(100_000)); controller.close(); },
  });
  assert.equal(await api.size(bytes), 5_000_000);
});

await test('streams from the server', async (api) => {
  const got = [];
  const stream = new WritableStream({ write(chunk) { got.push(chunk); }, close() { got.push('closed'); } });
  assert.equal(await api.pour(stream, 20), 'poured');
  assert.deepEqual(got, [...Array.from({ length: 20 }, (_, number) => ({ number })), 'closed']);
  let reason;
  await api.pour_and_fail(new WritableStream({ abort(why) { reason = why; } }));
  assert.equal(reason.message, 'enough');
  await fails(api.pour(new WritableStream({ write() { throw new RangeError('full'); } }), 3), (error) => {
    assert.equal(error.message, 'full');
  });
});

await test('an object, with callbacks to each of its pages', async (api) => {
  const heard = [];
  await api.subscribe((text) => { heard.push(text); });
  assert.equal(await api.post('hello'), 1);
  const other = await open('/hall/a');
  await other.api.subscribe((text) => { heard.push('other ' + text); });
  assert.equal(await other.api.post('both'), 2);
  assert.deepEqual(heard, ['hello', 'both', 'other both']);
  assert.equal(await api.last(), 'both');
  await api.leave();
  other.api[Symbol.dispose]();
  await new Promise((done) => other.socket.on('close', done));
}, '/hall/a');

{
  const { socket, api } = await open('/hall/b');
  const closed = new Promise((done) => socket.on('close', (code) => done(code)));
  const broken = new Promise((done) => api.onRpcBroken(done));
  await fails(api.break_down(), () => {});
  await broken;
  await closed;
  console.log('ok a reset object ends its sessions');
}

{
  const { socket } = await open();
  const { socket: other, api } = await open();
  const closed = new Promise((done) => socket.on('close', (code, reason) => done([code, String(reason)])));
  socket.send('["nonsense"]');
  assert.deepEqual(await closed, [3000, 'bad RPC message: ["nonsense"]']);
  assert.equal(await api.add(1, 2), 3);
  api[Symbol.dispose]();
  await new Promise((done) => other.on('close', done));
  console.log('ok abort');
}

{
  const batch = () => newHttpBatchRpcSession(url + '/');
  const api = batch();
  const room = api.room('z');
  assert.deepEqual(
    await Promise.all([room.messages(), room.name, api.add(2, 3), api.echo([1, 2]).map((n) => api.add(n, 1))]),
    [['in z', 'bye'], 'z', 5, [2, 3]],
  );
  await fails(batch().raises('range'), (error) => assert.ok(error instanceof RangeError));
  await fails(batch().call(() => 1), (error) => assert.match(error.message, /single HTTP request/));
  const blob = await batch().blob('in a batch');
  assert.equal(await blob.text(), 'in a batch');
  const hall = newHttpBatchRpcSession(url + '/hall/c');
  assert.deepEqual(await Promise.all([hall.post('one'), hall.last()]), [0, 'one']);
  assert.equal((await fetch(url + '/')).status, 400);
  assert.equal((await fetch(url + '/', { method: 'PUT' })).status, 405);
  assert.equal(await (await fetch(url + '/', { method: 'POST', body: '' })).text(), '');
  assert.equal((await fetch(url + '/', { method: 'POST', body: '["nonsense"]' })).status, 500);
  for (let tries = 0; (await (await fetch(url + '/tables')).json()).length; tries++) {
    assert.ok(tries < 200, 'the server still has a batch');
    await sleep(10);
  }
  console.log('ok batch');
}
process.exit(0);
