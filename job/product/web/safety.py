"""Add security headers to every response and refuse unknown host names. ASGI middleware; bodies are not changed."""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


class SecurityMiddleware:
    """Middleware for headers and host names. `hosts`: the allowed names, without ports; None allows all."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")  # answers about a photo must not be cached
            await send(message)

        app = self._app if self._is_allowed(Headers(scope=scope).get("host", "")) else MISDIRECTED
        await app(scope, receive, send_safely)

    def _is_allowed(self, host: str) -> bool:
        """Return whether the host name is allowed: a page on another site (DNS rebinding) still sends its own name."""
        return self._hosts is None or _without_port(host) in self._hosts


MISDIRECTED = JSONResponse({"error": {"code": "wrong_host", "message": "unknown host name: use the address that the server printed"}}, 421)


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
