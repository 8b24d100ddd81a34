import { DurableObject } from 'cloudflare:workers';
import { serve, attemptSync, sleep } from 'lib';

const upgrade = (client) => new Response(null, { status: 101, webSocket: client });
const logs = {};

export class A extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    const log = (logs[ctx.id.name] ??= []);
    for (const ws of ctx.getWebSockets()) {
      log.push(['start', ws.readyState, ws.deserializeAttachment(), ctx.getTags(ws)]);
      if (ctx.id.name === 'greets') ws.send('I am back');
      if (ctx.id.name === 'closes') ws.close(4100, 'from the constructor');
    }
  }
  get log() {
    return logs[this.ctx.id.name];
  }
  events() {
    return this.log.splice(0);
  }
  fetch(request) {
    const q = new URL(request.url).searchParams;
    const [client, server] = Object.values(new WebSocketPair());
    this.ctx.acceptWebSocket(server, q.getAll('tag'));
    server.serializeAttachment(q.get('name'));
    if (q.has('early')) {
      server.send('early');
      server.close(4001, 'no room');
    }
    return upgrade(client);
  }
  webSocketMessage(ws, message) {
    if (message === 'close') return ws.close(4002, 'as asked');
    if (message === 'close plain') return ws.close();
    if (message === 'close and send') {
      ws.send('last');
      ws.close(4003, 'x');
      this.log.push([ws.readyState, attemptSync(() => ws.send('late')), attemptSync(() => ws.close(4004, 'again'))]);
      return;
    }
    ws.send('got ' + (typeof message === 'string' ? message : 'binary'));
  }
  async webSocketClose(ws, code, reason, wasClean) {
    const { ctx, log } = this;
    const note = (word) => log.push([word, ws.deserializeAttachment(), ws.readyState, ctx.getWebSockets().length, ctx.getTags(ws)]);
    log.push([code, reason, wasClean]);
    note('close');
    if (reason === 'answer') {
      log.push(attemptSync(() => ws.send('farewell')));
      ws.close(4200, 'answered');
      log.push([ws.readyState, attemptSync(() => ws.send('after'))]);
    }
    if (reason === 'later') {
      await sleep(100);
      note('later');
      log.push(attemptSync(() => ws.send('farewell')), attemptSync(() => ws.close(4201, 'late')), ws.readyState);
    }
  }
  names(tag) {
    return this.ctx.getWebSockets(tag ?? undefined).map((ws) => ws.deserializeAttachment());
  }
  states() {
    return this.ctx.getWebSockets().map((ws) => [ws.deserializeAttachment(), ws.readyState]);
  }
  closeAll(code, reason) {
    for (const ws of this.ctx.getWebSockets()) ws.close(code, reason);
    return this.states();
  }
  sendAll(text) {
    return this.ctx.getWebSockets().map((ws) => attemptSync(() => ws.send(text)));
  }
  auto(request, response) {
    this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(request, response));
  }
  settings(ms) {
    if (ms) this.ctx.setHibernatableWebSocketEventTimeout(ms);
    const pair = this.ctx.getWebSocketAutoResponse();
    return [pair && pair.response, this.ctx.getHibernatableWebSocketEventTimeout()];
  }
  // Both ends in one object.
  async inside(allowHalfOpen, answers) {
    const out = [];
    const [a, b] = Object.values(new WebSocketPair());
    for (const [name, ws] of [['a', a], ['b', b]]) {
      ws.addEventListener('message', (e) => out.push([name, e.data]));
      ws.addEventListener('close', (e) => out.push([name, e.code, e.reason, e.wasClean, ws.readyState]));
      ws.accept({ allowHalfOpen });
    }
    a.send('to b');
    b.send('to a');
    await sleep(20);
    a.close(4300, 'enough');
    out.push([a.readyState, b.readyState]);
    await sleep(20);
    out.push([a.readyState, b.readyState]);
    if (answers) b.send('still'), b.close();
    await sleep(20);
    return [...out, [a.readyState, b.readyState]];
  }
}

export class S extends DurableObject {
  log = [];
  sockets = [];
  fetch(request) {
    const half = request.url.includes('half');
    const [client, server] = Object.values(new WebSocketPair());
    server.addEventListener('message', ({ data }) => {
      if (data === 'throw') throw new Error('listener threw');
      server.send('got ' + data);
    });
    server.addEventListener('message', ({ data }) => this.log.push(data));
    server.addEventListener('error', () => this.log.push(['error', server.readyState]));
    server.addEventListener('close', (e) => {
      this.log.push(['close', e.code, e.reason, e.wasClean]);
      if (half) server.send('half open'), server.close(4401, 'then');
    });
    server.accept({ allowHalfOpen: half });
    this.sockets.push(server);
    return upgrade(client);
  }
  events() {
    return this.log.splice(0);
  }
  now() {
    return this.sockets.map((ws) => [ws.readyState, attemptSync(() => ws.send('late'))]);
  }
}

export default serve();
