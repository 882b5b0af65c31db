"""A proxy that makes trouble with any request to S3, not with GETs of objects alone: by method, key and share."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from dataclasses import dataclass, field
from urllib.parse import unquote

from tests.s3.proxy import Head, Proxy, Side, read_head, reset, send

BODY = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%s</Code><Message>trouble</Message><RequestId>proxy</RequestId></Error>'
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
CODES = {
    "500": (b"500 Internal Server Error", b"InternalError"),
    "503": (b"503 Slow Down", b"SlowDown"),
    "403": (b"403 Forbidden", b"ExpiredToken"),
}


@dataclass
class Rule:
    """What a share of the requests meets: `kind` is 500, 503, 403, slow, reset, short or held."""

    kind: str
    share: float = 1.0
    methods: str = "GET PUT POST HEAD DELETE"
    target: str = ".*"  # of the path and query
    seconds: float = 1.0  # of slow
    released: threading.Event = field(default_factory=threading.Event)  # of held: until then it waits

    def takes(self, request: Head, chance: random.Random) -> bool:
        method, target, _ = request.start
        return method in self.methods.split() and bool(re.fullmatch(self.target, unquote(target))) and chance.random() < self.share


class Trouble(Proxy):
    """`rules` may be exchanged at any time; the first one that takes a request decides. `done` counts by kind."""

    def __init__(self, target: str, *rules: Rule, seed: int = 0) -> None:
        super().__init__(target)
        self.rules = rules
        self._chance = random.Random(seed)

    async def _answer(self, client: Side) -> bool:
        request = await read_head(client)
        self.heads.append(request)
        rule = next((rule for rule in self.rules if rule.takes(request, self._chance)), None)
        kind = rule.kind if rule else "passed"
        self.done[kind] += 1
        if rule and kind in CODES:
            await send(client, refusal(kind, request.start[0]))
            return False  # the rest of a body may still come
        if kind == "reset":
            reset(client)
            return False
        if rule and kind == "slow":
            await asyncio.sleep(rule.seconds)
        if rule and kind == "held":
            while not rule.released.is_set():
                await asyncio.sleep(0.01)
        return await self._exchange(request, client, kind == "short" and request.start[0] == "GET")


def refusal(kind: str, method: str) -> bytes:
    status, code = CODES[kind]
    body = b"" if method == "HEAD" else BODY % code
    return b"HTTP/1.1 %s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body)
