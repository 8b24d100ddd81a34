"""`GET /cdn-cgi/handler/scheduled` while developing: runs the worker's `scheduled` by hand. (cooperative)"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Protocol
from urllib.parse import parse_qs, urlsplit

from perdure._http.responder import Handle
from perdure.entrypoint import ScheduledController
from perdure.web import Request, Response

PATH: Final = "/cdn-cgi/handler/scheduled"
_MILLISECONDS_FROM: Final = 1e11  # as seconds, the year 5138


class Scheduled(Protocol):
    """`Runtime.scheduled`."""

    async def __call__(self, cron: str, scheduled_time: datetime | None = None) -> ScheduledController: ...


class ScheduledByHand:
    """
    Answers the path, in front of the worker; the same query as in `wrangler dev`.

    `cron` is what the handler finds in `controller.cron`, the first one of the configuration if it is left out.
    `time` is the scheduled time, now if it is left out: seconds or milliseconds since the epoch, or as ISO 8601.
    `format=json` answers with JSON. A handler that raises is a failed request, with its page.
    """

    def __init__(self, scheduled: Scheduled, default_cron: str, handle: Handle) -> None:
        self._scheduled = scheduled
        self._default_cron = default_cron
        self._handle = handle

    async def handle(self, request: Request) -> Response:
        """Run `scheduled` if the request asks for that, else pass it on."""
        url = urlsplit(request.url)
        if url.path != PATH:
            return await self._handle(request)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        try:
            time = None if "time" not in query else _time(query["time"])
        except (ValueError, OverflowError, OSError):
            return Response(f"time={query['time']} is no time: write seconds since the epoch.\n", status=400)
        controller = await self._scheduled(query.get("cron", self._default_cron), time)
        if query.get("format") == "json":
            return Response.json({"outcome": "ok", "noRetry": not controller.retries})
        return Response("ok")


def _time(text: str) -> datetime:
    try:
        number = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return datetime.fromtimestamp(number / 1000 if abs(number) > _MILLISECONDS_FROM else number, UTC)
