from lib import Hibernating, serve, sleep

log = []


class A(Hibernating):
    async def websocket_message(self, ws, message):
        if message == "throw":
            raise Exception("message handler threw")
        if message == "reject":
            await sleep(5)
            raise Exception("message handler rejected")
        if message == "abort":
            self.ctx.abort("aborted in message")
        ws.send(f"length {len(message)}" if len(message) > 100 else f"got {message}")

    def websocket_close(self, ws, code, reason, was_clean):
        log.append(["close", code, reason, was_clean])

    def websocket_error(self, ws, error):
        log.append(["error", "Error", str(error), ws.ready_state])

    async def events(self):
        found = log[:]
        log.clear()
        return found

    async def open(self):
        return len(self.ctx.get_websockets())


class Bare(Hibernating):
    async def open(self):
        return len(self.ctx.get_websockets())


Default = serve()
