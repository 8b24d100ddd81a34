// The npm server of Cap'n Web, for bench/capnweb.py: node server.mjs PORT
import http from 'node:http';
import { WebSocketServer } from 'ws';
import { RpcTarget, newWebSocketRpcSession } from 'capnweb';

class Api extends RpcTarget {
  add(a, b) { return a + b; }
}

const server = http.createServer((request, response) => response.end('pong'));
new WebSocketServer({ server }).on('connection', (socket) => newWebSocketRpcSession(socket, new Api()));
server.listen(Number(process.argv[2]), '127.0.0.1');
