// The server of npm's `capnweb` on Node: node capnweb_server.mjs PORT; its `Api` is that of `app.py`.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { RpcTarget, newWebSocketRpcSession } from 'capnweb';

class Api extends RpcTarget {
  add(a, b) {
    return a + b;
  }
}

const server = createServer((request, response) => response.end('none'));
new WebSocketServer({ server }).on('connection', (socket) => newWebSocketRpcSession(socket, new Api()));
server.listen(Number(process.argv[2]), '127.0.0.1');
