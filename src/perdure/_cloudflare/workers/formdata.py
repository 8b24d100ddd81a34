"""`workers.formdata`: FormData as the Python SDK shows it. (pure)"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from perdure._cloudflare.web.blob import Blob as JsBlob
from perdure._cloudflare.web.form_data import FormData as JsFormData
from perdure._cloudflare.workers.blob import view_blob

FormDataValue = "str | js.Blob | Blob"


class FormData(MutableMapping[str, Any]):
    """
    The entries of a form: text and files; a name may occur several times.

    Args:
        form_data: a dict, or a form of JavaScript's.
    """

    def __init__(self, form_data: Any = None) -> None:
        given = getattr(form_data, "js_object", form_data)
        if isinstance(given, JsFormData):
            self._js_form_data = given
            return
        if given and not isinstance(given, dict):
            raise TypeError("Expected form_data to be a dict or an instance of FormData")
        self._js_form_data = JsFormData()
        for name, value in (given or {}).items():
            self.append(name, value)

    def __getitem__(self, key: str) -> Any:
        return _shown(self._js_form_data.get(key))

    def __setitem__(self, key: str, value: Any) -> None:
        if isinstance(value, list):
            raise TypeError("Expected single item in arguments to FormData.__setitem__")
        self._js_form_data.set(key, value)

    def append(self, key: str, value: Any, filename: str | None = None) -> None:
        """Add a value and keep those that *key* has."""
        self._js_form_data.append(key, value, filename)

    def delete(self, key: str) -> None:
        """Remove every value of *key*."""
        self._js_form_data.delete(key)

    def get_all(self, key: str) -> list[Any]:
        """Return every value of *key*."""
        return [_shown(value) for value in self._js_form_data.getAll(key)]

    def keys(self) -> Iterator[str]:  # type: ignore[override]
        """Iterate over the names, one for each value."""
        yield from self._js_form_data.keys()

    def values(self) -> Iterator[Any]:  # type: ignore[override]
        """Iterate over the values."""
        for value in self._js_form_data.values():
            yield _shown(value)

    def items(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        """Iterate over (name, value)."""
        for name, value in self._js_form_data.items():
            yield name, _shown(value)

    def __contains__(self, key: object) -> bool:
        return key in self._js_form_data

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __delitem__(self, key: str) -> None:
        self.delete(key)

    def __len__(self) -> int:
        return len(self._js_form_data)

    def __repr__(self) -> str:
        return f"FormData({list(self.items())!r})"

    @property
    def js_object(self) -> JsFormData:
        """The form as JavaScript shows it."""
        return self._js_form_data


def _shown(value: Any) -> Any:
    return view_blob(value) if isinstance(value, JsBlob) else value
