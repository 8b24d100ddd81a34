"""Calls by reference: targets, stubs, and what gives them up. (cooperative)"""

from __future__ import annotations

from perdure._base.bigint import BigInt
from perdure._rpc.capnweb.values import UNDEFINED, TypedArray
from perdure._rpc.crossing import dispose
from perdure._rpc.pipes import ReadableStream, WritableStream
from perdure._rpc.promise import RpcPromise
from perdure._rpc.stub import RpcProperty, RpcStub
from perdure._rpc.target import RpcTarget
from perdure._rpc.typed import pipeline, rpc
from perdure._web.form_data import Blob
from perdure.rpc_server import serve

__all__ = [
    "UNDEFINED",
    "BigInt",
    "Blob",
    "ReadableStream",
    "RpcPromise",
    "RpcProperty",
    "RpcStub",
    "RpcTarget",
    "TypedArray",
    "WritableStream",
    "dispose",
    "pipeline",
    "rpc",
    "serve",
]
