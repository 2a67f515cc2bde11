"""How a run's events are printed: one JSON object a line for scripts, one sentence for people.

The names and fields are the contract's; nothing here decides or remembers anything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.text import Text

from trader_cli.cli.invocation import Invocation
from trader_cli.clock import Clock

Fields = Mapping[str, object]

_STYLES: Final = {
    "started": "bold",
    "stopped": "bold",
    "refused": "yellow",
    "fill": "cyan",
    "order": "cyan",
    "protected": "green",
    "closed": "magenta",
    "halted": "bold red",
    "gap": "yellow",
    "warning": "yellow",
}


def printer(invocation: Invocation, clock: Clock) -> Callable[[str, Fields], None]:
    """Return what prints an event of this moment the way the invocation asks for."""
    print_event = event_printer(invocation)
    return lambda event, fields: print_event(event, fields, clock.now_ms())


def event_printer(invocation: Invocation) -> Callable[[str, Fields, int], None]:
    """Return what prints an event of a given time the way the invocation asks for."""
    if invocation.shared.json:
        return lambda event, fields, at_ms: _print_json(invocation, event, fields, at_ms)
    console = Console(soft_wrap=True, highlight=False)
    return lambda event, fields, at_ms: _print_line(console, event, fields, at_ms)


def sentence(event: str, fields: Fields) -> str:
    """Return an event as one line for people, without its name and time."""
    describe = _SENTENCES.get(event, _plain)
    return describe(fields)


def _print_json(invocation: Invocation, event: str, fields: Fields, at_ms: int) -> None:
    row = {
        "schema": 1,
        "env": invocation.env,
        "event": event,
        "time_ms": at_ms,
        **fields,
    }
    sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _print_line(console: Console, event: str, fields: Fields, at_ms: int) -> None:
    moment = datetime.fromtimestamp(at_ms / 1000, tz=UTC).astimezone()
    line = Text(f"{moment:%H:%M:%S} ")
    line.append(f"{event:<10}", style=_STYLES.get(event, "dim"))
    line.append(f" {sentence(event, fields)}")
    console.print(line)


def _started(row: Fields) -> str:
    advisors = ", ".join(map(str, _list(row, "advisors"))) or "none of ours"
    symbols = ", ".join(map(str, _list(row, "symbols")))
    return f"{symbols} from {row['bridge']}, advisors: {advisors}"


def _section(row: Fields) -> str:
    mark = "tradable" if row["tradable"] else "not tradable"
    problems = "".join(f"; {text}" for text in _list(row, "problems"))
    said = row["command"] or "(no command)"
    return f"{row['file']}/{row['section']} {said}: {mark}, {row['why']}{problems}"


def _signal(row: Fields) -> str:
    if "quantity" not in row:
        return _section(row)
    verb = "adds" if row["add"] else "enters"
    notes = "".join(f"\n{'':<20}{note}" for note in _list(row, "notes"))
    return (
        f"{row['advisor']} {row['command']} {verb} {row['direction']} {row['quantity']} "
        f"{row['symbol']} ({row['notional']} USDT) at {row['leverage']}x{notes}"
    )


def _refused(row: Fields) -> str:
    return f"{row['advisor']} {row['command']}: {row['message']} [{row['rule']}]"


def _fill(row: Fields) -> str:
    how = "maker" if row["maker"] else "taker"
    return f"{row['side']} {row['quantity']} {row['symbol']} at {row['price']} ({how})"


def _order(row: Fields) -> str:
    notes = "".join(f"; {note}" for note in _list(row, "notes"))
    price = "" if row["average_price"] is None else f" at {row['average_price']}"
    return (
        f"{row['side']} {row['symbol']}: {row['filled_quantity']} filled{price}, "
        f"{row['maker_quantity']} as maker, {row['ended']}{notes}"
    )


def _protected(row: Fields) -> str:
    trailing = row.get("trailing_activate_price")
    tail = "" if trailing is None else f", trailing from {trailing}"
    return (
        f"{row['side']} {row['quantity']} {row['symbol']} from {row['entry_price']}: stop rests at "
        f"{row['stop_price']}, target at {row['take_profit_price']}{tail} "
        f"(unprotected {row['unprotected_ms']} ms)"
    )


def _closed(row: Fields) -> str:
    return (
        f"{row['side']} {row['symbol']} at {row['exit_price']}: {row['exit_reason']}, "
        f"net {row['net_pnl']} USDT ({row['roi_pct']} % of margin) after {row['holding_seconds']} s"
    )


def _halted(row: Fields) -> str:
    if "flat" in row:
        flat = "flat" if row["flat"] else "NOT FLAT"
        return f"{row['reason']}: {flat}, {row['cancelled']} cancelled, {row['closed']} closed"
    if not row["halted"]:
        return "the halt is lifted"
    symbols = row["symbols"]
    assert isinstance(symbols, Mapping), "halts by symbol"
    said = [f"{symbol}: {reason}" for symbol, reason in symbols.items()]
    return "; ".join([str(row["reason"])] if row["reason"] else said) + "; nothing opens"


def _reconciled(row: Fields) -> str:
    parts = [f"{row['positions']} positions", f"{row['resolved']} orders proven"]
    parts += [f"entry {name} taken back" for name in _list(row, "cancelled_entries")]
    parts += [f"UNKNOWN {name}" for name in _list(row, "unresolved")]
    parts += [str(text) for text in _list(row, "drifts")]
    return ", ".join(parts)


def _gap(row: Fields) -> str:
    return f"{row['stream']}: {row['reason']}; nothing opens until it is reconciled"


def _warning(row: Fields) -> str:
    return f"{row.get('kind', '')}: {row['message']}"


def _advisor(row: Fields) -> str:
    said = f"{row['name']} {row['state']}"
    if row["state"] == "died":
        return f"{said} with {row['exit_code']}, again in {row['restart_s']} s"
    if row["state"] == "not_started":
        return f"{said}: {row['reason']}, again in {row['restart_s']} s"
    return f"{said}, log {row['log']}" if "log" in row else said


def _stopped(row: Fields) -> str:
    rows = [item for item in _list(row, "positions") if isinstance(item, Mapping)]
    if not rows:
        return "no position is open"
    said = [
        f"{item['side']} {item['quantity']} {item['symbol']} "
        + ("keeps its stop at the exchange" if item["protected"] else "IS NOT PROTECTED BY US")
        for item in rows
    ]
    return "; ".join(said)


def _plain(row: Fields) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items())


def _list(row: Fields, name: str) -> list[object]:
    value = row.get(name)
    return list(value) if isinstance(value, (list, tuple)) else []


_SENTENCES: Final[dict[str, Callable[[Fields], str]]] = {
    "started": _started,
    "section": _section,
    "signal": _signal,
    "refused": _refused,
    "fill": _fill,
    "order": _order,
    "protected": _protected,
    "closed": _closed,
    "halted": _halted,
    "reconciled": _reconciled,
    "gap": _gap,
    "warning": _warning,
    "advisor": _advisor,
    "stopped": _stopped,
}
