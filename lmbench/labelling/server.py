"""The server of the page: on this machine alone, for whoever has the address with its token.

Every request is looked at before it is answered: whether it names this server (another site whose name was made to lead here does
not), whether it has the token (compared in constant time), and, where it writes, whether it comes from the page itself. Images
are asked for by number, so that no path of a request ever becomes a path of a file.
"""

from __future__ import annotations

import hmac
import json
import secrets
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from lmbench.errors import LmbenchError, StaleError, UsageError
from lmbench.labelling.session import ConflictError, Session

HOST: Final = "127.0.0.1"
NAMES = (HOST, "localhost")  # by which a browser on this machine may call it
LARGEST = 1 << 20  # bytes of what is written
PATIENCE = 30  # seconds that a request may take to arrive
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class LabelServer(ThreadingHTTPServer):
    """Serves a session until it is told to stop. ``page``: the page, made when it is asked for."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, session: Session, page: Callable[[], str], port: int = 0) -> None:
        """Raises UsageError where the port is taken or not to be had; 0 takes any that is free."""
        self.session, self.page = session, page
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            said = getattr(error, "strerror", "") or str(error)
            raise UsageError(
                f"--port {port}: {said[:1].lower()}{said[1:]}. Another lmbench label may run there; choose another port, or "
                "leave --port out."
            ) from None

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is no event."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, said: str) -> None:
        super().__init__(said)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: LabelServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lmbench", ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        self._answered(self._get)

    def do_POST(self) -> None:
        self._answered(self._post)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the terminal belongs to the person."""

    def _answered(self, answer: Callable[[list[str], dict[str, str]], None]) -> None:
        try:
            answer(*self._asked())
        except _Refused as refused:
            self._send(refused.status, "text/plain; charset=utf-8", f"{refused}\n".encode(), close=True)
        except ConflictError as conflict:
            self._json({"said": str(conflict), "now": conflict.now}, HTTPStatus.CONFLICT)
        except LmbenchError as error:
            status = (
                HTTPStatus.PRECONDITION_FAILED if isinstance(error, StaleError) else HTTPStatus.UNPROCESSABLE_ENTITY
            )
            self._json({"said": str(error)}, status)
        except OSError as error:
            self._json(
                {"said": f"{error.filename or 'the disk'}: {error.strerror or error}"}, HTTPStatus.INSUFFICIENT_STORAGE
            )

    def _asked(self) -> tuple[list[str], dict[str, str]]:
        """The parts of the path behind the token, and the query. Raises _Refused."""
        places = {f"{name}:{self.server.port}" for name in NAMES}
        if self.headers.get("Host", "") not in places or len(self.headers.get_all("Host", [])) != 1:
            raise _Refused(HTTPStatus.FORBIDDEN, "this server answers to its own name alone.")
        asked = urlsplit(self.path)
        first, token, *parts = asked.path.split("/")
        if first or not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise _Refused(
                HTTPStatus.FORBIDDEN, "the address lacks its token: open the address that lmbench label printed."
            )
        from_page = {f"http://{place}" for place in places}
        origin, site = self.headers.get("Origin"), self.headers.get("Sec-Fetch-Site", "none")
        if (origin is not None and origin not in from_page) or site not in ("none", "same-origin"):
            raise _Refused(HTTPStatus.FORBIDDEN, "another page may neither read nor write here.")
        if self.command == "POST" and origin is None:
            raise _Refused(HTTPStatus.FORBIDDEN, "only the page itself may write.")
        return parts, {k: v[-1] for k, v in parse_qs(asked.query).items()}

    def _get(self, parts: list[str], query: dict[str, str]) -> None:
        session = self.server.session
        match parts:
            case [""]:
                self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page().encode())
            case ["image", number]:
                kind, content = session.folder.shown(self._index(number))
                self._send(HTTPStatus.OK, kind, content, cached=True)
            case ["marks", number]:
                self._json(session.image(self._index(number)))
            case ["proposals", number]:
                self._json(session.proposed(self._index(number)))
            case ["images"]:
                self._json(session.listed(_number(query.get("from", "0"))))
            case ["farthest"]:
                self._json({"index": session.farthest(self._index(query.get("image", "0")))})
            case ["status"]:
                self._json(session.status(query.get("window", ""), self._index(query.get("image", "0"))))
            case _:
                raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing of this name.")

    def _post(self, parts: list[str], query: dict[str, str]) -> None:
        session, given = self.server.session, self._given()
        match parts:
            case ["marks", number]:
                self._json(session.put(self._index(number), given))
            case ["reread"]:
                session.reread()
                self._json({})
            case _:
                raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing of this name.")

    def _given(self) -> Any:
        """The JSON that was sent. Raises _Refused for anything else: forms of other sites cannot send it."""
        if self.headers.get_content_type() != "application/json":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "JSON is expected.")
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or len(length) > 9 or int(length) > LARGEST:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "its length must be said, and is too large.")
        try:
            return json.loads(self.rfile.read(int(length)), parse_int=float)  # of any length: 1e400 is no point either
        except (ValueError, RecursionError):
            raise _Refused(HTTPStatus.BAD_REQUEST, "that is no JSON.") from None

    def _index(self, text: str) -> int:
        index = _number(text)
        if index >= len(self.server.session.folder):
            raise _Refused(HTTPStatus.NOT_FOUND, "there is no such image.")
        return index

    def _json(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(status, "application/json", json.dumps(value, allow_nan=False).encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes, cached: bool = False, close: bool = False) -> None:
        policy = (
            "frame-ancestors 'none'" if kind.startswith("text/html") else "default-src 'none'; frame-ancestors 'none'"
        )
        own = {"Content-Type": kind, "Content-Length": str(len(content)), "Content-Security-Policy": policy}
        own |= {"Cache-Control": "private, max-age=600"} if cached else {}
        self.send_response(status)
        for name, value in {**ALWAYS, **own, **({"Connection": "close"} if close else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise _Refused(HTTPStatus.NOT_FOUND, "a number is expected.")
    return int(text)
