"""The ports of the scenarios as a project for Cloudflare's Python Workers has them: the same code, by the one rule of names. (pure)

Members, handlers and options become Cloudflare's (`get_by_name` → `getByName`), imports come from `workers` and `js`,
and JavaScript's constructors are called with `.new`. Nothing else changes: what the answers are is the business of the code under test.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

import perdure._cloudflare.context_view  # noqa: F401  (all views are to be known)
from perdure._cloudflare.adapter import OBJECT_HANDLERS
from perdure._cloudflare.names import snake_case
from perdure._cloudflare.views import Method, View

from .mapping import SPELLINGS

HOMES = {
    "DurableObject": "workers",
    "Request": "workers",
    "Response": "workers",
    "WorkerEntrypoint": "workers",
    "WebSocketPair": "js",
    "WebSocketRequestResponsePair": "js",
}
"""Where a project imports a name from; others stay where they are."""
NEW = {"WebSocketPair": ".object_values()", "WebSocketRequestResponsePair": ""}
"""Constructors of JavaScript, and what a project writes behind a call."""
PLAIN = """
import datetime as _datetime, time as _time

def milliseconds(when):
    if isinstance(when, _datetime.timedelta):
        return (_time.time() + when.total_seconds()) * 1000
    return when.timestamp() * 1000 if isinstance(when, _datetime.datetime) else when

def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if type(value) is dict else value
"""
"""Through which a port gives its times and its results: in milliseconds, and pairs as lists, since a tuple cannot be sent."""
OF_TESTS = "evict_durable_object"
"""A helper of `perdure.testing`, which is given what is behind a stub."""
OPTIONS = {"websocket": "web_socket"}
"""Keyword arguments of Cloudflare's own Python."""


def camel_names() -> dict[str, str]:
    """Return Perdure's name → Cloudflare's, of every member and option that a view has, and of the handlers."""
    names = {"wasClean", "durableObjectReset"}  # of events and errors, which are no views
    for view in _all(View):
        names |= set(view._names())
        names |= {
            option
            for member in view._members.values()
            if isinstance(member, Method)
            for option in member.options
        }
    names |= {name for name in SPELLINGS if name.isidentifier()}  # what is spoken of, there or not
    ruled = {snake_case(name): name for name in names if not name.isupper() and snake_case(name) != name}
    return {name: camel for name, camel in ruled.items() if name[:2] != "__"} | OBJECT_HANDLERS


def _all(cls: type[View]) -> Iterable[type[View]]:
    for child in cls.__subclasses__():
        yield child
        yield from _all(child)


def spoken(value: Any) -> Any:
    """Return *value*, an answer of ours, with Cloudflare's names in its texts."""
    if isinstance(value, str):
        names = camel_names()
        return re.sub(r"[a-z]+(_[a-z]+)+", lambda found: names.get(found[0], found[0]), value)
    if isinstance(value, list):
        return [spoken(item) for item in value]
    return {key: spoken(item) for key, item in value.items()} if isinstance(value, dict) else value


def port(source: str) -> str:
    """Return the Cloudflare project's form of *source*."""
    tree = ast.fix_missing_locations(_Port(camel_names()).visit(ast.parse(source)))
    at = next(
        (index for index, node in enumerate(tree.body) if not isinstance(node, ast.ImportFrom | ast.Expr)), 0
    )
    tree.body[at:at] = ast.parse(PLAIN).body
    return ast.unparse(tree)


class _Port(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        spoken = sorted((name for name in names if "_" in name), key=len, reverse=True)
        self._spoken = re.compile(rf"\b({'|'.join(spoken)})\b")

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if node.attr == "websocket":  # what a response of the SDK carries is JavaScript's
            node.value, node.attr = ast.Attribute(node.value, "js_object", ast.Load()), "webSocket"
        node.attr = self._names.get(node.attr, node.attr)
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        self.generic_visit(node)
        if node.arg is not None:
            node.arg = OPTIONS.get(node.arg) or self._names.get(node.arg, node.arg)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        for member in node.body:
            if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
                member.name = self._names.get(member.name, member.name)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Return) and inner.value is not None:
                inner.value = ast.Call(ast.Name("plain", ast.Load()), [inner.value], [])
        return node

    def visit_With(self, node: ast.With) -> ast.AST | list[ast.stmt]:
        """A transaction is a block for us, and a function given to `transactionSync` there."""
        self.generic_visit(node)
        opened = node.items[0].context_expr
        if not (isinstance(opened, ast.Call) and isinstance(opened.func, ast.Attribute)):
            return node
        if opened.func.attr != "transactionSync":
            return node
        nothing = ast.arguments([], [], None, [], [], None, [])
        block = ast.FunctionDef("block", nothing, node.body, [], None)
        return [block, ast.Expr(ast.Call(opened.func, [ast.Name("block", ast.Load())], []))]

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST | list[ast.stmt]:
        """The same for `transaction`; what the block returns, the function does."""
        self.generic_visit(node)
        opened, name = node.items[0].context_expr, node.items[0].optional_vars
        if not (
            isinstance(opened, ast.Call)
            and isinstance(opened.func, ast.Attribute)
            and opened.func.attr == "transaction"
        ):
            return node
        given = [ast.arg(name.id)] if isinstance(name, ast.Name) else []
        block = ast.AsyncFunctionDef(
            "block", ast.arguments([], given, None, [], [], None, []), node.body, [], None
        )
        ended = ast.Await(ast.Call(opened.func, [ast.Name("block", ast.Load())], []))
        returns = isinstance(node.body[-1], ast.Return)
        return [block, ast.Return(ended) if returns else ast.Expr(ended)]

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Names are spoken of too, as in a list of members to look for."""
        if isinstance(node.value, str):
            node.value = self._spoken.sub(lambda found: self._names[found[1]], node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "setAlarm" and node.args:
            node.args[0] = ast.Call(ast.Name("milliseconds", ast.Load()), [node.args[0]], [])
        if not isinstance(node.func, ast.Name):
            return node
        if node.func.id == "bytearray":
            node.func.id = "bytes"
        if node.func.id == OF_TESTS:
            node.args = [ast.Attribute(argument, "_native", ast.Load()) for argument in node.args]
        if node.func.id == "keywords":  # options are Cloudflare's already
            return node.args[0]
        if node.func.id not in NEW:
            return node
        suffix = NEW[node.func.id]
        node.func = ast.Attribute(node.func, "new", ast.Load())
        if not suffix:
            return node
        return ast.Call(ast.Attribute(node, suffix.strip(".()"), ast.Load()), [], [])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | list[ast.stmt]:
        if node.module != "perdure":
            return node
        by_home: dict[str, list[ast.alias]] = {}
        for alias in node.names:
            by_home.setdefault(HOMES.get(alias.name, "perdure"), []).append(alias)
        return [ast.ImportFrom(home, names, 0) for home, names in by_home.items()]
