"""What the environment variables mean: which exchange, which keys, where, and where to keep state.

Pure functions of the variables; an empty variable counts as not set. What is wrong is appended to
a list of problems, in words that never hold a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

API_KEY: Final = "BINANCE_API_KEY"
API_SECRET: Final = "BINANCE_API_SECRET"
TESTNET: Final = "BINANCE_TESTNET"
ENVIRONMENT: Final = "TRADER_ENV"
REST_URL: Final = "TRADER_REST_URL"
STREAM_URL: Final = "TRADER_STREAM_URL"
HOME: Final = "TRADER_HOME"

Problem = str
"""One sentence: where, what, and what is allowed."""

_SHOWN_CHARS: Final = 4
_SHOWN_FROM_LENGTH: Final = 16


@unique
class Environment(StrEnum):
    """Which exchange: the embedded one, Binance's testnet, or the one with real money."""

    PAPER = "paper"
    TESTNET = "testnet"
    LIVE = "live"


class Secret:
    """Text that no output, log or traceback shows: only its last four characters.

    No dataclass on purpose: `dataclasses.asdict` of whatever holds it would lay it open.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def reveal(self) -> str:
        """Return the text itself, for signing only."""
        return self._value

    def __repr__(self) -> str:
        long_enough = len(self._value) >= _SHOWN_FROM_LENGTH
        return "***" + (self._value[-_SHOWN_CHARS:] if long_enough else "")

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """An API key and what it signs with."""

    api_key: Secret
    api_secret: Secret


def choose_environment(
    *,
    flag: str | None,
    variables: Mapping[str, str],
    configured: tuple[str | None, str],
    has_keys: bool,
    for_kill: bool,
    problems: list[Problem],
) -> tuple[Environment, str]:
    """Return the environment and what chose it.

    The flag wins over `TRADER_ENV`, that over the file, that over `BINANCE_TESTNET` where a key is
    set; else it is paper.

    Args:
        configured: the file's `env`, and the file's name.
    """
    testnet = _says_testnet(variables, problems)
    name, where = configured
    for value, source in (
        (flag, "--env"),
        (_get(variables, ENVIRONMENT), ENVIRONMENT),
        (name, f"env in {where}"),
    ):
        if value is None:
            continue
        try:
            environment = Environment(value.strip().lower())
        except ValueError:
            problems.append(f"{source}: {value!r}: allowed is paper, testnet or live")
            continue
        if environment is Environment.LIVE and testnet and not for_kill:
            problems.append(
                f"{source}: live, while {TESTNET} says true: allowed is one of them;"
                f" live needs {TESTNET}=false and live keys"
            )
        return environment, source
    if has_keys:
        return key_environment(variables), TESTNET if testnet is not None else API_KEY
    return Environment.PAPER, "default"


def key_environment(variables: Mapping[str, str]) -> Environment:
    """Return whose keys `BINANCE_API_KEY` holds: testnet's, unless `BINANCE_TESTNET` says false."""
    live = _says_testnet(variables, []) is False
    return Environment.LIVE if live else Environment.TESTNET


def read_key_pair(variables: Mapping[str, str], problems: list[Problem]) -> KeyPair | None:
    """Return the key pair, None if neither half is set."""
    key, secret = _get(variables, API_KEY), _get(variables, API_SECRET)
    for name, value in ((API_KEY, key), (API_SECRET, secret)):
        if value is not None and not (value.isascii() and value.isprintable() and " " not in value):
            problems.append(f"{name}: allowed is printable ASCII without blanks")
    if key is None and secret is None:
        return None
    if key is None or secret is None:
        missing, present = (API_KEY, API_SECRET) if key is None else (API_SECRET, API_KEY)
        problems.append(f"{missing}: is not set, but {present} is: allowed is both or neither")
        return None
    return KeyPair(api_key=Secret(key), api_secret=Secret(secret))


def read_urls(
    variables: Mapping[str, str], environment: Environment, problems: list[Problem]
) -> tuple[str | None, str | None]:
    """Return the REST and the stream origin of another server, None for the environment's own.

    A REST origin alone is taken for the streams too: one server, one port.
    """
    rest, stream = _get(variables, REST_URL), _get(variables, STREAM_URL)
    if environment is Environment.LIVE:
        problems.extend(
            f"{name}: is set, but live always uses Binance's own servers: allowed is nothing"
            for name, value in ((REST_URL, rest), (STREAM_URL, stream))
            if value is not None
        )
        return None, None
    if rest is None:
        if stream is not None:
            problems.append(f"{REST_URL}: is not set, but {STREAM_URL} is: allowed is both")
        return None, None
    rest_origin = _origin(REST_URL, rest, ("http", "https"), problems)
    if stream is not None:
        return rest_origin, _origin(STREAM_URL, stream, ("ws", "wss"), problems)
    return rest_origin, None if rest_origin is None else "ws" + rest_origin.removeprefix("http")


def read_home(variables: Mapping[str, str], cwd: Path) -> Path | None:
    """Return `TRADER_HOME` as an absolute path, None if it is not set."""
    home = _get(variables, HOME)
    return None if home is None else cwd.absolute() / Path(home).expanduser()


def _get(variables: Mapping[str, str], name: str) -> str | None:
    return variables.get(name, "").strip() or None


def _says_testnet(variables: Mapping[str, str], problems: list[Problem]) -> bool | None:
    """Return what `BINANCE_TESTNET` says, None if it says nothing; only `false` means live."""
    text = _get(variables, TESTNET)
    if text is None:
        return None
    match text.lower():
        case "false":
            return False
        case "true" | "1" | "yes" | "on":
            return True
        case _:
            problems.append(f"{TESTNET}: {text!r}: allowed is true or false")
            return True


def _origin(name: str, text: str, schemes: tuple[str, str], problems: list[Problem]) -> str | None:
    """Return scheme, host and port, None with a problem told where the text is anything else."""
    try:
        parts = urlsplit(text)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        parts, port = urlsplit(""), ""
    plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
    if parts.scheme not in schemes or not parts.hostname or not plain or "@" in parts.netloc:
        shown = "" if "@" in text else f" {text!r}:"
        problems.append(
            f"{name}:{shown} allowed is {schemes[0]}:// or {schemes[1]}:// with host and port,"
            " no path"
        )
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"
