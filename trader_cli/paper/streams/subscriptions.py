"""Stream connections: who hears what, told as text, whatever carries it.

Knows rooms, subscriptions, listen keys and control messages. A connection is a `Sink`: a socket
in the server, a list in a simulation. Must not know sockets, nor what a payload says.

A market message may be dropped by a sink that is slow; a user event never.

Source: binance-usdm reference §10.1, §11.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol

from trader_cli.paper.protocol.limits import MessageRate
from trader_cli.paper.protocol.messages import can_tell, json_text
from trader_cli.paper.streams.stream_names import (
    Room,
    StreamName,
    parse_address,
    parse_stream,
)
from trader_cli.paper.streams.user_streams import ListenKeys, expired_event

STREAMS_MAX: Final = 1_024
CONNECTION_LIFE_MS: Final = 86_400_000
_MESSAGES_PER_SECOND: Final = 10
_SPELLABLE: Final = re.compile(r"[!\w@.-]+", re.ASCII)
"""What may be a stream's name or a listen key; the exchange takes unknown ones in silence."""

_CLOSE_NORMAL: Final = 1000
_CLOSE_GOING_AWAY: Final = 1001
_CLOSE_POLICY: Final = 1008


class Sink(Protocol):
    """Where a connection's messages go."""

    def send(self, text: str, *, droppable: bool) -> None:
        """Pass a message on, without waiting; a droppable one may be left out."""
        ...

    def close(self, code: int, reason: str) -> None:
        """End the connection."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """One open stream connection."""

    sink: Sink
    room: Room
    combined: bool
    opened_ms: int
    events: frozenset[str] | None
    rate: MessageRate
    streams: dict[str, StreamName] = field(default_factory=dict)
    listen_keys: dict[str, None] = field(default_factory=dict)

    def deliver(self, name: str, payload: str, *, droppable: bool) -> None:
        """Send one payload in this connection's form."""
        text = f'{{"stream":{json.dumps(name)},"data":{payload}}}' if self.combined else payload
        self.sink.send(text, droppable=droppable)


class Subscriptions:
    """All stream connections of the exchange."""

    def __init__(
        self,
        listen_keys: ListenKeys,
        *,
        strict_legacy: bool = False,
        limited: bool = True,
        life_ms: int = CONNECTION_LIFE_MS,
    ) -> None:
        """Start without connections.

        Args:
            strict_legacy: unrouted connections hear public streams only, as at Binance.
            limited: close connections that talk faster than ten messages a second.
            life_ms: how long a connection lives.
        """
        self.life_ms = life_ms
        self._keys = listen_keys
        self._strict_legacy = strict_legacy
        self._limited = limited
        self._connections: dict[Connection, None] = {}
        self._listeners: dict[str, dict[Connection, None]] = {}
        self._streams: dict[str, StreamName] = {}
        self._holders: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def active_streams(self) -> list[StreamName]:
        """The market streams somebody hears now."""
        return list(self._streams.values())

    @property
    def hears_user(self) -> bool:
        """True while somebody holds a listen key, living or not."""
        return bool(self._holders)

    def open(self, path: str, raw_query: str, sink: Sink, now_ms: int) -> Connection | None:
        """Admit a connection; None if the path is no stream's."""
        address = parse_address(path, raw_query)
        if address is None:
            return None
        connection = Connection(
            sink=sink,
            room=address.room,
            combined=address.combined,
            opened_ms=now_ms,
            events=address.events,
            rate=MessageRate(_MESSAGES_PER_SECOND),
        )
        self._connections[connection] = None
        self._subscribe(connection, address.names)
        return connection

    def close(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._connections.pop(connection, None)
        self._holders.pop(connection, None)
        self._unsubscribe(connection, list(connection.streams))

    def count(self, connection: Connection, now_ms: int) -> bool:
        """Count a message, ping or pong; False if it was too many and ended the connection."""
        if self._limited and not connection.rate.allows(now_ms):
            connection.sink.close(_CLOSE_POLICY, "Too many requests")
            return False
        return True

    def receive(self, connection: Connection, text: str, now_ms: int) -> None:
        """Answer a control message; a client that talks too fast is disconnected."""
        if not self.count(connection, now_ms):
            return
        answer = json_text(self._answer(connection, text))
        connection.sink.send(answer, droppable=False)

    def publish_user(self, events: Sequence[Mapping[str, Any]], now_ms: int) -> None:
        """Tell the account's events, in order, to every holder of a living listen key."""
        if not events:
            return
        listening = [
            (connection, key)
            for connection in self._holders
            for key in connection.listen_keys
            if self._keys.is_alive(key, now_ms)
        ]
        for event in events if listening else ():
            kind, text = str(event["e"]), json_text(event)
            for connection, key in listening:
                if connection.events is None or kind in connection.events:
                    connection.deliver(key, text, droppable=False)

    def publish_market(self, name: str, payload: object) -> None:
        """Tell one market payload to everybody who hears the stream `name`."""
        listeners = self._listeners.get(name)
        if not listeners:
            return
        text = json_text(payload)
        for connection in list(listeners):
            connection.deliver(name, text, droppable=True)

    def expire(self, now_ms: int) -> None:
        """End what has lived its time: the listen key's hour, a connection's day."""
        expired = self._keys.expire(now_ms)
        for connection in list(self._connections):
            if expired is not None and expired in connection.listen_keys:
                text = json_text(expired_event(expired, now_ms))
                connection.deliver(expired, text, droppable=False)
            if now_ms - connection.opened_ms >= self.life_ms:
                connection.sink.close(_CLOSE_NORMAL, "24 hours")

    def close_all(self, code: int = _CLOSE_GOING_AWAY, reason: str = "going away") -> None:
        """End every connection."""
        for connection in list(self._connections):
            connection.sink.close(code, reason)

    def _subscribe(self, connection: Connection, names: Iterable[str]) -> None:
        for name in names:
            stream = parse_stream(name)
            if stream is None:
                self._listen(connection, name)
                continue
            if name in connection.streams or len(connection.streams) >= STREAMS_MAX:
                continue
            connection.streams[name] = stream
            if stream.is_served_in(connection.room, strict_legacy=self._strict_legacy):
                self._listeners.setdefault(name, {})[connection] = None
                self._streams[name] = stream

    def _listen(self, connection: Connection, key: str) -> None:
        """Note a listen key. Whether it is alive is asked anew with every event."""
        routed = connection.room in (Room.PRIVATE, Room.LEGACY)
        strict = connection.room is Room.LEGACY and self._strict_legacy
        if routed and not strict:
            connection.listen_keys[key] = None
            self._holders[connection] = None

    def _unsubscribe(self, connection: Connection, names: Iterable[str]) -> None:
        for name in names:
            connection.listen_keys.pop(name, None)
            if not connection.listen_keys:
                self._holders.pop(connection, None)
            if connection.streams.pop(name, None) is None:
                continue
            listeners = self._listeners.get(name, {})
            listeners.pop(connection, None)
            if not listeners:
                self._listeners.pop(name, None)
                self._streams.pop(name, None)

    def _answer(self, connection: Connection, text: str) -> dict[str, object]:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            return _control_error(3, f"Invalid JSON: {error}")
        if not can_tell(message):
            return _control_error(3, "Invalid JSON: no such number or text")
        if not isinstance(message, dict):
            return _control_error(2, "Invalid request: request must be a JSON object")
        return self._control(connection, message) | {"id": message.get("id")}

    def _control(self, connection: Connection, message: Mapping[str, object]) -> dict[str, object]:
        method, params = message.get("method"), message.get("params", [])
        if method is None:
            return _control_error(2, "Invalid request: missing field `method`")
        act = self._controls.get(str(method))
        if act is None:
            return _control_error(2, f"Invalid request: unknown variant `{method}`")
        if not isinstance(params, list):
            return _control_error(2, "Invalid request: params must be an array")
        return act(self, connection, params)

    def _on_subscribe(self, connection: Connection, params: list[Any]) -> dict[str, object]:
        if not all(isinstance(name, str) for name in params):
            return _control_error(2, "Invalid request: stream names must be strings")
        if not all(map(_SPELLABLE.fullmatch, params)):
            return _control_error(2, "Invalid request: invalid stream")
        if len(connection.streams) + len(params) > STREAMS_MAX:
            return _control_error(4, "Too many subscriptions")
        self._subscribe(connection, params)
        return {"result": None}

    def _on_unsubscribe(self, connection: Connection, params: list[Any]) -> dict[str, object]:
        self._unsubscribe(connection, map(str, params))
        return {"result": None}

    def _on_list(self, connection: Connection, _params: list[Any]) -> dict[str, object]:
        return {"result": [*connection.streams, *connection.listen_keys]}

    def _on_set(self, connection: Connection, params: list[Any]) -> dict[str, object]:
        match params:
            case ["combined", bool(combined)]:
                connection.combined = combined
                return {"result": None}
            case ["combined", _]:
                return _control_error(1, "Invalid value type: expected Boolean")
        return _control_error(0, "Unknown property")

    def _on_get(self, connection: Connection, params: list[Any]) -> dict[str, object]:
        if params == ["combined"]:
            return {"result": connection.combined}
        return _control_error(0, "Unknown property")

    _controls: ClassVar[
        dict[str, Callable[[Subscriptions, Connection, list[Any]], dict[str, object]]]
    ] = {
        "SUBSCRIBE": _on_subscribe,
        "UNSUBSCRIBE": _on_unsubscribe,
        "LIST_SUBSCRIPTIONS": _on_list,
        "SET_PROPERTY": _on_set,
        "GET_PROPERTY": _on_get,
    }


def _control_error(code: int, text: str) -> dict[str, object]:
    """Return what a refused control message is answered with.

    The reference shows code and text by themselves, clients look for them under `error`: both.
    """
    return {"code": code, "msg": text, "error": {"code": code, "msg": text}}
