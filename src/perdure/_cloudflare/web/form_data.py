"""FormData as JavaScript shows it. (pure)"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from perdure._cloudflare.values import JsArray, JsIterator, js_text, relaxed_call
from perdure._cloudflare.web.blob import Blob, view_blob
from perdure._cloudflare.web.shape import WebObject, is_absent
from perdure.web import Blob as NativeBlob
from perdure.web import FormData as NativeFormData


class FormData(WebObject):
    """The entries of a form: text and files; a name may occur several times."""

    _native: NativeFormData

    def __init__(self, _form: Any = None) -> None:
        self._native = NativeFormData()

    def append(self, name: Any, value: Any, filename: Any = None) -> None:
        self._native.append(js_text(name), *_value(value, filename))

    def set(self, name: Any, value: Any, filename: Any = None) -> None:
        self._native.set(js_text(name), *_value(value, filename))

    def get(self, name: Any, default: Any = None) -> Any:
        return _shown(self._native.get(js_text(name), default))

    def getAll(self, name: Any) -> JsArray:
        return JsArray(_shown(value) for value in self._native.get_all(js_text(name)))

    def has(self, name: Any) -> bool:
        return js_text(name) in self._native

    def delete(self, name: Any) -> None:
        self._native.delete(js_text(name))

    def entries(self) -> JsIterator:
        return JsIterator(JsArray(pair) for pair in self.items())

    def items(self) -> Iterator[tuple[str, Any]]:
        return ((name, _shown(value)) for name, value in self._native.items())

    def keys(self) -> JsIterator:
        """Iterate over the names, one for each occurrence."""
        return JsIterator(name for name, _ in self._native.items())

    def values(self) -> JsIterator:
        return JsIterator(_shown(value) for value in self._native.values())

    def forEach(self, function: Callable[..., Any], _this: Any = None) -> None:
        for name, value in self.items():
            relaxed_call(function, value, name, self)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.entries())

    def __getitem__(self, name: str) -> Any:
        return _shown(self._native[name])

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        del self._native[name]

    def __contains__(self, name: object) -> bool:
        return name in self._native

    def __len__(self) -> int:
        return len(self._native)


def view_form(native: NativeFormData) -> FormData:
    """Return the view of *native*."""
    view = FormData.__new__(FormData)
    view._native = native
    return view


def _value(value: Any, filename: Any) -> tuple[str | NativeBlob, str | None]:
    value = getattr(value, "js_object", value)  # a Blob or File of the Python SDK
    if isinstance(value, Blob):
        return value._native, None if is_absent(filename) else js_text(filename)
    return js_text(value), None


def _shown(value: Any) -> Any:
    return view_blob(value) if isinstance(value, NativeBlob) else value
