"""`workers.rpc`: conversions, and what the SDK calls its wrappers, which views are here. (pure)"""

from __future__ import annotations

from perdure._cloudflare.convert import FunctionStub as _RpcStubWrapper
from perdure._cloudflare.convert import python_from_rpc, python_to_rpc
from perdure._cloudflare.env_view import EnvView as _EnvWrapper
from perdure._cloudflare.namespace_view import NamespaceView as _DurableObjectNamespaceWrapper
from perdure._cloudflare.namespace_view import StubView as _FetcherWrapper
from perdure._cloudflare.values import JsDict
from perdure._cloudflare.views import View as _BindingWrapper

__all__ = [
    "JsDict",
    "_BindingWrapper",
    "_DurableObjectNamespaceWrapper",
    "_EnvWrapper",
    "_FetcherWrapper",
    "_RpcStubWrapper",
    "python_from_rpc",
    "python_to_rpc",
]
