"""`trader paper fault`: let the embedded exchange fail on request, and stop it failing."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer

from trader_cli.cli.arguments import positive_number, whole_number
from trader_cli.cli.invocation import Answer, Json, Table, invocation_of
from trader_cli.cli.output import pairs
from trader_cli.cli.paper_home import settings_of_paper
from trader_cli.domain.numbers import to_wire
from trader_cli.errors import UsageError

app = typer.Typer(
    help="Failures on request: of answers, events, streams, stops, and what strangers do.",
    rich_markup_mode=None,
    add_completion=False,
)
_COLUMNS = ("number", "kind", "method", "path", "times_left", "probability", "amount", "struck")


@app.command("arm")
def arm(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="see `trader paper fault list`")],
    method: Annotated[str | None, typer.Option("--method", metavar="VERB")] = None,
    path: Annotated[
        str | None,
        typer.Option(
            "--path", metavar="PATTERN", help="shell-like: request path, event name or symbol"
        ),
    ] = None,
    times: Annotated[
        int | None, typer.Option("--times", parser=whole_number, metavar="N", help="default once")
    ] = None,
    forever: Annotated[bool, typer.Option("--forever", help="until it is cleared")] = False,
    probability: Annotated[
        Decimal | None, typer.Option("--probability", parser=positive_number, metavar="P")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", parser=whole_number, metavar="N", help="of the chance")
    ] = None,
    seconds: Annotated[
        int | None, typer.Option("--seconds", parser=whole_number, metavar="N", help="then disarm")
    ] = None,
    amount: Annotated[
        int | None,
        typer.Option("--amount", metavar="N", help="ms of delay or skew, s of ban, % of a fill"),
    ] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", metavar="SYMBOL")] = None,
    side: Annotated[str | None, typer.Option("--side", metavar="SIDE")] = None,
    quantity: Annotated[
        Decimal | None, typer.Option("--quantity", parser=positive_number, metavar="QTY")
    ] = None,
    price: Annotated[
        Decimal | None, typer.Option("--price", parser=positive_number, metavar="PRICE")
    ] = None,
) -> Answer:
    """Arm a failure; one that happens at a moment happens now unless --path names a request."""
    from trader_cli.paper.api.faults import FaultKind
    from trader_cli.paper.process import arm_fault

    if kind not in {*FaultKind}:
        known = ", ".join(FaultKind)
        raise UsageError(f"there is no failure {kind!r}", advice=f"known: {known}")
    wish = {
        "kind": kind,
        "method": None if method is None else method.upper(),
        "path": path,
        "times": times,
        "forever": "true" if forever else None,
        "probability": probability,
        "seed": seed,
        "seconds": seconds,
        "amount": amount,
        "symbol": symbol,
        "side": None if side is None else side.upper(),
        "quantity": quantity,
        "price": price,
    }
    values = {name: _text(value) for name, value in wish.items() if value is not None}
    data = arm_fault(settings_of_paper(invocation_of(context)).home, values)
    title = "Happened" if data.get("happened") else "Armed"
    return Answer(data=data, tables=lambda: [pairs(title, data)])


@app.command("list")
def list_armed(context: typer.Context) -> Answer:
    """Show what is armed, and every kind there is."""
    from trader_cli.paper.process import faults

    data = faults(settings_of_paper(invocation_of(context)).home)

    def tables() -> list[Table]:
        armed = Table(
            title="Armed" if data["faults"] else "Armed: none",
            columns=_COLUMNS,
            rows=tuple(tuple(_cell(row.get(name)) for name in _COLUMNS) for row in data["faults"]),
        )
        kinds = tuple((str(kind),) for kind in data["kinds"])
        return [armed, Table(title="Kinds", columns=("kind",), rows=kinds)]

    return Answer(data=data, tables=tables)


@app.command("clear")
def clear(
    context: typer.Context,
    number: Annotated[
        int | None,
        typer.Argument(parser=whole_number, metavar="[NUMBER]", help="left out: all of them"),
    ] = None,
) -> Answer:
    """Disarm one failure, or all."""
    from trader_cli.paper.process import clear_faults

    data: Json = clear_faults(settings_of_paper(invocation_of(context)).home, number)
    return Answer(data=data, tables=lambda: [pairs("Disarmed", data)])


def _text(value: object) -> str:
    return to_wire(value) if isinstance(value, Decimal) else str(value)


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
