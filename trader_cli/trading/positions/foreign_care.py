"""Do what the operator's policies say about positions that others opened: protect or adopt them.

Knows no policy but those two; what is foreign, and what is only said, is `foreign`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trader_cli.domain.rules import ForeignPolicy
from trader_cli.domain.terms import PositionSide
from trader_cli.errors import TraderError
from trader_cli.trading.orders.protection_spec import ProtectionSpec
from trader_cli.trading.positions.foreign import ForeignFound
from trader_cli.trading.positions.position_manager import PositionManager
from trader_cli.trading.positions.position_view import PositionView


@dataclass(frozen=True, slots=True, kw_only=True)
class CaredFor:
    """What was done about one foreign position; `error` says why it was not."""

    symbol: str
    position_side: PositionSide
    policy: ForeignPolicy
    error: TraderError | None = None


async def care_for(
    positions: PositionManager,
    found: Iterable[ForeignFound],
    *,
    spec: ProtectionSpec,
    source: str,
    advisor: str,
) -> tuple[CaredFor, ...]:
    """Protect naked positions and adopt others as each symbol's policy says; never raises for one.

    Args:
        spec: the stop they get; a stop that rests already is kept where only protection is wanted.
        advisor: whose the adopted ones are from then on.
    """
    wanted = [
        (view, row.policy)
        for row in found
        for view in row.positions
        if row.policy is ForeignPolicy.ADOPT
        or (row.policy is ForeignPolicy.PROTECT and not view.protected)
    ]
    done = [
        await _care(positions, view, policy, spec=spec, source=source, advisor=advisor)
        for view, policy in wanted
    ]
    return tuple(done)


async def _care(
    positions: PositionManager,
    view: PositionView,
    policy: ForeignPolicy,
    *,
    spec: ProtectionSpec,
    source: str,
    advisor: str,
) -> CaredFor:
    symbol, side = view.position.symbol, view.position.position_side
    error: TraderError | None = None
    try:
        if policy is ForeignPolicy.ADOPT:
            adopted = await positions.adopt(
                symbol, spec, source=source, advisor=advisor, position_side=side
            )
            protection = adopted.protection
        else:
            protection = await positions.protect(symbol, spec, source=source, position_side=side)
        error = protection.problems[0] if protection.problems else None
    except TraderError as failure:
        error = failure
    return CaredFor(symbol=symbol, position_side=side, policy=policy, error=error)
