"""The media type of a file, by its name. (pure)

A table of our own for what pages are made of: what the machine's own tables say differs from one to the next.
"""

from __future__ import annotations

import mimetypes
from typing import Final

_TYPES: Final = {
    ending: kind
    for kind, endings in {
        "application/json": "json map",
        "application/ld+json": "jsonld",
        "application/manifest+json": "webmanifest",
        "application/pdf": "pdf",
        "application/wasm": "wasm",
        "application/xml": "xml",
        "audio/mpeg": "mp3",
        "audio/ogg": "ogg opus",
        "audio/wav": "wav",
        "font/otf": "otf",
        "font/ttf": "ttf",
        "font/woff": "woff",
        "font/woff2": "woff2",
        "image/avif": "avif",
        "image/gif": "gif",
        "image/jpeg": "jpeg jpg",
        "image/jxl": "jxl",
        "image/png": "apng png",
        "image/svg+xml": "svg",
        "image/vnd.microsoft.icon": "ico",
        "image/webp": "webp",
        "model/gltf-binary": "glb",
        "model/gltf+json": "gltf",
        "text/css": "css",
        "text/csv": "csv",
        "text/html": "htm html",
        "text/javascript": "js mjs",
        "text/markdown": "markdown md",
        "text/plain": "log text txt",
        "text/x-python": "py",
        "text/yaml": "yaml yml",
        "video/mp4": "m4v mp4",
        "video/webm": "webm",
    }.items()
    for ending in endings.split()
}


def content_type(name: str) -> str:
    """Return the media type, of texts with their encoding; what is not known is a sequence of bytes."""
    kind = _TYPES.get(name.rpartition(".")[2].lower()) if "." in name else None
    if kind is None:
        guessed, encoding = mimetypes.guess_type(name)
        kind = guessed if guessed is not None and encoding is None else "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
