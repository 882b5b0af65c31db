"""Add security headers to every response and refuse unknown host names. ASGI middleware; bodies are not changed."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from job.contract.uris import printable
from job.product.web.limits import Refused

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
HEADERS = {
    # The photo comes back inside the page (data:) and is shown before it is sent (blob:). No inline script, no inline style.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",  # the page opens the phone's camera app, never the camera itself
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# The page sends a photo itself, to keep it for teaching; with `no-referrer` a browser would send `Origin: null` with the page's own forms.
TEACHING_HEADERS = HEADERS | {
    "Content-Security-Policy": f"{HEADERS['Content-Security-Policy']}; connect-src 'self'",
    "Referrer-Policy": "same-origin",
}
OWN_SITE = ("same-origin", "none")  # none: the visitor's own action, https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header


class SecurityMiddleware:
    """Middleware for headers and host names. `hosts`: the allowed names, without ports; None allows all. `headers`: added to responses."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None, headers: Mapping[str, str]) -> None:
        self._app, self._hosts, self._headers = app, hosts, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")  # answers about a photo must not be cached
            await send(message)

        app = self._app if self._is_allowed(Headers(scope=scope).get("host", "")) else MISDIRECTED
        await app(scope, receive, send_safely)

    def _is_allowed(self, host: str) -> bool:
        """Return whether the host name is allowed: a page on another site (DNS rebinding) still sends its own name."""
        return self._hosts is None or _without_port(host) in self._hosts


def refuse_other_origins(request: Request) -> None:
    """
    Raise Refused 403 for a request that a page of another site makes: without a login, a visitor's browser would let it in.

    A browser says where a request comes from by Sec-Fetch-Site, on plain HTTP in a network by Origin alone. A program sends neither.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = site in OWN_SITE if site else origin is None or origin.partition("://")[2].lower() == request.headers.get("host", "").lower()
    if not own:
        value = printable(origin or site or "")
        raise Refused(403, "other_origin", f"`{value}` is not the page of this server", "use the address that the server printed")


def failed(status: int, code: str, message: str, hint: str, headers: Any = None) -> JSONResponse:
    """Return an error of the API."""
    return JSONResponse({"error": {"code": code, "message": message, "hint": hint}}, status, headers)


MISDIRECTED = failed(421, "wrong_host", "unknown host name", "use the address that the server printed")


def _without_port(host: str) -> str:
    end = host.find("]") + 1 if host.startswith("[") else host.find(":")
    return (host[:end] if end > 0 else host).lower()


def allowed_hosts(host: str) -> frozenset[str] | None:
    """Return the allowed host names of a server that listens on `host`: LOOPBACK for this machine only, else any (None)."""
    if host == "localhost":
        return LOOPBACK
    try:
        return LOOPBACK if ipaddress.ip_address(host).is_loopback else None
    except ValueError:
        return None
