from lib import enc, kinds, serve

from perdure import DurableObject

CTX_NAMES = """
    id storage wait_until block_concurrency_while abort accept_websocket get_websockets get_tags
    set_websocket_auto_response get_websocket_auto_response get_websocket_auto_response_timestamp
    set_hibernatable_websocket_event_timeout get_hibernatable_websocket_event_timeout
    container exports props facets restore version pass_through_on_exception
"""
STORAGE_NAMES = """
    get put delete list delete_all transaction transaction_sync sync get_alarm set_alarm delete_alarm sql kv
    get_current_bookmark get_bookmark_for_time on_next_session_restore_bookmark
    wait_for_bookmark primary ensure_replicas disable_replicas rollback
"""


class A(DurableObject):
    async def ctxMembers(self):
        return kinds(self.ctx, CTX_NAMES.split())

    async def storageMembers(self):
        return kinds(self.ctx.storage, STORAGE_NAMES.split())

    async def envMembers(self):
        return list(self.env)

    async def thisMembers(self):
        return [list(vars(self)), isinstance(self, DurableObject), type(self).__name__]

    async def ctxSame(self):
        ctx = self.ctx
        return [
            ctx.storage is ctx.storage,
            ctx.id is ctx.id,
            ctx.id.equals(ctx.id),
            enc(ctx.props),
            sorted(ctx.exports),
        ]


Default = serve()
