"""Calls by reference: targets, stubs, and what gives them up. (cooperative)"""

from __future__ import annotations

from perdure._rpc.crossing import dispose
from perdure._rpc.promise import RpcPromise
from perdure._rpc.stub import RpcProperty, RpcStub
from perdure._rpc.target import RpcTarget

__all__ = ["RpcPromise", "RpcProperty", "RpcStub", "RpcTarget", "dispose"]
