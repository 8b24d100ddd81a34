from lib import Hibernating, serve


class A(Hibernating):
    def websocket_message(self, ws, message):
        ws.send(f"got {message}" if isinstance(message, str) else message)
        if not isinstance(message, str):
            self.log.append(["binary", isinstance(message, bytes)])

    def websocket_close(self, ws, code, reason, was_clean):
        self.log.append(["close", code, reason, was_clean, ws.ready_state, len(self.ctx.get_websockets())])

    def websocket_error(self, ws, error):
        self.log.append(["error", str(error)])

    async def count(self):
        return [ws.ready_state for ws in self.ctx.get_websockets()]

    async def order(self):
        for place, ws in enumerate(self.ctx.get_websockets()):
            ws.send(f"place {place}")

    async def sendAll(self, text):
        for ws in self.ctx.get_websockets():
            ws.send(text)


Default = serve()
