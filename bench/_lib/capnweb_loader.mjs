// Calls a server over one WebSocket for some seconds, so many calls at a time; asked by JSON on standard input.
import fs from 'node:fs';
import WebSocket from 'ws';
import { RpcSession, WebSocketTransport } from 'capnweb';

const asked = JSON.parse(fs.readFileSync(0, 'utf8'));
const socket = new WebSocket(`ws://127.0.0.1:${asked.port}/capnweb/-/-`);
await new Promise((done, failed) => { socket.on('open', done); socket.on('error', failed); });
const api = new RpcSession(new WebSocketTransport(socket)).getRemoteMain();
if (await api.add(1, 2) !== 3) throw new Error('the answer is wrong');

const took = [];
let errors = 0;
const began = performance.now();
const end = began + asked.seconds * 1000;
await Promise.all(Array.from({ length: asked.in_flight }, async () => {
  for (let now = performance.now(); now < end;) {
    if (await api.add(took.length, 1) === undefined) errors++;
    const then = now;
    now = performance.now();
    took.push(now - then);
  }
}));
const seconds = (performance.now() - began) / 1000;
took.sort((a, b) => a - b);
const at = (share) => took[Math.min(took.length - 1, Math.floor(took.length * share))];
console.log(JSON.stringify({
  requests: took.length, seconds, errors, p50_ms: at(0.5), p99_ms: at(0.99), max_ms: took.at(-1),
}));
process.exit(0);
