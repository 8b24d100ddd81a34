"""The key `assets` of a configuration. (pure)"""

from __future__ import annotations

import pathlib
from typing import Any, Final

from perdure._assets.settings import (
    HTML_HANDLINGS,
    NOT_FOUND_HANDLINGS,
    Assets,
    wrong_pattern,
    wrong_patterns,
)
from perdure._config.env_names import EnvNames
from perdure._config.problem import did_you_mean
from perdure._config.reader import Reader

ASSETS_KEYS: Final = ("directory", "binding", "run_worker_first", "html_handling", "not_found_handling")

_PREFERS_NAVIGATIONS: Final = "assets_navigation_prefers_asset_serving"
_SINCE: Final = "2025-04-01"
"""The compatibility date from which browsers' navigations get what `not_found_handling` says."""


def read_assets(
    table: Reader, root: pathlib.Path, names: EnvNames, date: str | None, flags: tuple[str, ...]
) -> Assets | None:
    """Return the settings; what is wrong of them is noted as problems."""
    if "assets" not in table:
        return None
    assets = table.below("assets")
    assets.refuse_unknown(ASSETS_KEYS)
    directory = assets.text("directory", required=True, help="it is the folder of the files")
    binding = assets.text("binding")
    names.take(assets, binding)
    first = _run_worker_first(assets)
    html = _one_of(assets, "html_handling", HTML_HANDLINGS)
    not_found = _one_of(assets, "not_found_handling", NOT_FOUND_HANDLINGS)
    if directory is None:
        return None
    given: dict[str, Any] = {"html_handling": html, "not_found_handling": not_found}
    return Assets(
        root / directory,
        binding=binding,
        run_worker_first=first,
        prefers_navigations=_prefers_navigations(date, flags),
        **{name: value for name, value in given.items() if value is not None},
    )


def _one_of(table: Reader, key: str, allowed: tuple[str, ...]) -> str | None:
    value = table.text(key)
    if value is None or value in allowed:
        return value
    table.add(
        "config/invalid-assets",
        f'"{value}" is no value of assets.{key}',
        key,
        hint=did_you_mean(value, allowed),
        help=f"its values are {', '.join(allowed)}",
    )
    return None


def _run_worker_first(table: Reader) -> bool | tuple[str, ...]:
    value = table.table.get("run_worker_first", False)
    if isinstance(value, bool):
        return value
    if not isinstance(value, list):
        table.wrong("run_worker_first", "true, false or a list of patterns", value)
        return False
    before = len(table.problems)
    patterns = table.texts("run_worker_first")
    for index, pattern in enumerate(value):
        wrong = wrong_pattern(pattern) if isinstance(pattern, str) and pattern else None
        if wrong is not None:
            table.add("config/invalid-assets", wrong, "run_worker_first", index)
    wrong = wrong_patterns(patterns)
    if wrong is not None:
        table.add("config/invalid-assets", wrong, "run_worker_first")
    return patterns if len(table.problems) == before else False


def _prefers_navigations(date: str | None, flags: tuple[str, ...]) -> bool:
    if _PREFERS_NAVIGATIONS in flags:
        return True
    if "assets_navigation_has_no_effect" in flags:
        return False
    return date is None or date >= _SINCE
