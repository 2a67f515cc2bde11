"""The bare programs that the order path is measured beside."""

from __future__ import annotations

import hashlib
import hmac
import socket
import time
from urllib.parse import urlencode, urlsplit

from trader_cli.paper.process import PaperEndpoint


class BareSocket:
    """The least a program can do: sign, write, read one answer over a kept connection."""

    def __init__(self, endpoint: PaperEndpoint) -> None:
        url = urlsplit(endpoint.rest_url)
        assert url.hostname is not None, "an origin"
        assert url.port is not None, "the paper exchange's"
        self._host = f"{url.hostname}:{url.port}"
        self._key, self._secret = endpoint.api_key, endpoint.api_secret.encode()
        self._socket = socket.create_connection((url.hostname, url.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, method: str, path: str, **params: str) -> bytes:
        query = urlencode({**params, "timestamp": str(int(time.time() * 1_000))})
        signature = hmac.new(self._secret, query.encode(), hashlib.sha256).hexdigest()
        self._socket.sendall(
            f"{method} {path}?{query}&signature={signature} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"X-MBX-APIKEY: {self._key}\r\nContent-Length: 0\r\n\r\n".encode()
        )
        return self._answer()

    def _answer(self) -> bytes:
        buffer = bytearray()
        while b"\r\n\r\n" not in buffer:
            buffer += self._socket.recv(1 << 20)
        head, _, body = bytes(buffer).partition(b"\r\n\r\n")
        rows = (line.split(b":", 1) for line in head.split(b"\r\n")[1:])
        length = next(int(row[1]) for row in rows if row[0].lower() == b"content-length")
        content = bytearray(body)
        while len(content) < length:
            content += self._socket.recv(1 << 20)
        return bytes(content)
