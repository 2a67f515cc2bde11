"""The shapes of `--json` as the contract has them: one model a command, held strictly.

Knows `docs/cli-contract.md` and no code of ours. A field that is missing, one too many, a number
where a decimal string is promised: each is a failure. `python -m tests.support.cli_shapes` writes
the same as a JSON Schema for other people's scripts, which must pass over fields they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from tests.support.shapes.account import AccountMode, Balance, Fees, Income, Info, Permissions
from tests.support.shapes.envelope import EXIT_CODES, Failed, Failure, Succeeded
from tests.support.shapes.orders import (
    Batch,
    Bracket,
    Order,
    Orders,
    PlannedBracket,
    PlannedOrder,
    Resolution,
    Swept,
    Trades,
    UnchangedOrder,
    Unswept,
    UntouchedOrder,
    ValidatedOrder,
    Worked,
)
from tests.support.shapes.paper import (
    ArmedFault,
    ClearedFaults,
    Faults,
    PaperPrice,
    PaperReset,
    PaperStatus,
    PaperStopped,
)
from tests.support.shapes.positions import (
    Adopted,
    Closed,
    Leverage,
    Margin,
    ModeChange,
    Opened,
    PlannedAdoption,
    PlannedClosing,
    PlannedOpening,
    PlannedProtection,
    PlannedReduction,
    Pnl,
    Positions,
    Protected,
    Reduced,
    Synced,
)
from tests.support.shapes.risk import (
    Checked,
    Halted,
    Killed,
    PlannedKill,
    Resumed,
    RiskLimits,
    RiskStatus,
    UnchangedHalt,
    UnchangedResume,
)

PUBLISHED = Path(__file__).parents[2] / "docs" / "schema" / "cli.json"
SCHEMA = 1

_PLACED = Order | PlannedOrder | ValidatedOrder
_BRACKETED = Bracket | PlannedBracket
DATA: Mapping[str, Any] = {
    "account balance": Balance,
    "account info": Info,
    "account permissions": Permissions,
    "account income": Income,
    "account fees": Fees,
    "account mode": AccountMode,
    "order limit": _PLACED | _BRACKETED,
    "order market": _PLACED | _BRACKETED,
    "order smart": Worked | PlannedOrder | ValidatedOrder,
    "order bracket": _BRACKETED,
    "order stop-loss": Order | PlannedOrder,
    "order take-profit": Order | PlannedOrder,
    "order trailing-stop": Order | PlannedOrder,
    "order batch": Batch,
    "order list": Orders,
    "order show": Order,
    "order history": Orders,
    "order trades": Trades,
    "order amend": Order | UnchangedOrder,
    "order cancel": Order | UntouchedOrder,
    "order cancel-all": Swept | Unswept,
    "order resolve": Resolution,
    "position list": Positions,
    "position open": Opened | PlannedOpening,
    "position add": Opened | PlannedOpening,
    "position reduce": Reduced | PlannedReduction,
    "position close": Closed | PlannedClosing,
    "position protect": Protected | PlannedProtection,
    "position sync": Synced,
    "position adopt": Adopted | PlannedAdoption,
    "position leverage": Leverage,
    "position margin": Margin,
    "position mode": ModeChange,
    "position pnl": Pnl,
    "risk status": RiskStatus,
    "risk limits": RiskLimits,
    "risk check": Checked,
    "risk halt": Halted | UnchangedHalt,
    "risk resume": Resumed | UnchangedResume,
    "kill": Killed | PlannedKill,
    "paper start": PaperStatus,
    "paper stop": PaperStopped,
    "paper status": PaperStatus,
    "paper reset": PaperReset,
    "paper price": PaperPrice,
    "paper fault": ArmedFault | Faults | ClearedFaults,
}
"""What `data` is, by the envelope's `command`. `run` and `paper serve` have none."""

_ENVELOPE: TypeAdapter[Succeeded | Failed] = TypeAdapter(Succeeded | Failed)
_ADAPTERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(DATA[name]) for name in DATA}


def check_envelope(value: object, exit_code: int) -> None:
    """Hold what a command printed, and its exit code, against the contract.

    Raises:
        pydantic.ValidationError, AssertionError: it is something else.
    """
    envelope = _ENVELOPE.validate_python(value)
    assert exit_code == (EXIT_CODES[envelope.error.kind] if isinstance(envelope, Failed) else 0)
    if envelope.data is not None:
        _ADAPTERS[envelope.command].validate_python(envelope.data)


def published() -> str:
    """Return the JSON Schema of the envelope; it lets fields pass that are added later."""
    names = list(DATA)
    adapters: list[tuple[str, Literal["validation", "serialization"], TypeAdapter[Any]]] = [
        (name, "validation", _ADAPTERS[name]) for name in names
    ]
    refs, shared = TypeAdapter.json_schemas(adapters, ref_template="#/$defs/{model}")
    cases = [
        {
            "if": {"properties": {"command": {"const": name}}, "required": ["data"]},
            "then": {"properties": {"data": refs[name, "validation"]}},
        }
        for name in names
    ]
    definitions = shared["$defs"] | {"Failure": Failure.model_json_schema()}
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What `trader COMMAND --json` prints",
        "type": "object",
        "required": ["schema", "env", "command", "ok"],
        "properties": {
            "schema": {"const": SCHEMA},
            "env": {"type": ["string", "null"]},
            "command": {"type": "string"},
            "ok": {"type": "boolean"},
            "data": {"type": "object"},
            "error": {"$ref": "#/$defs/Failure"},
        },
        "if": {"properties": {"ok": {"const": True}}},
        "then": {"required": ["data"]},
        "else": {"required": ["error"]},
        "allOf": cases,
        "$defs": definitions,
    }
    return json.dumps(_open(whole), indent=1, ensure_ascii=False) + "\n"


def _open(value: Any) -> Any:
    """Return a schema without the ban on further fields, and without pydantic's titles."""
    if isinstance(value, dict):
        return {
            name: _open(inner)
            for name, inner in value.items()
            if name != "additionalProperties" or isinstance(inner, dict)
            if name != "title" or not isinstance(inner, str) or "trader" in inner
        }
    if isinstance(value, list):
        return [_open(inner) for inner in value]
    return value


if __name__ == "__main__":
    PUBLISHED.parent.mkdir(exist_ok=True)
    PUBLISHED.write_text(published(), encoding="utf-8")
