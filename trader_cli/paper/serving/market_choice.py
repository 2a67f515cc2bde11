"""Which market a server has: the one asked for, or the one its account has been trading on.

A market is remembered with the account. It is changed only under an account that is flat and has
no open orders, because positions of one market are worth nothing in another; the market it is
changed to decides what time it is. Knows every kind of market; must not know the venue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

from trader_cli.clock import Clock
from trader_cli.errors import NotSent, UsageError
from trader_cli.paper.contracts.instruments import CONTRACTS, Contract
from trader_cli.paper.markets.character import with_characters
from trader_cli.paper.markets.market import Market
from trader_cli.paper.markets.replay import open_replay
from trader_cli.paper.markets.replay_clock import ReplayClock
from trader_cli.paper.markets.synthetic import SyntheticMarket, SyntheticState
from trader_cli.paper.process import MarketKind, PaperOptions
from trader_cli.paper.state.state import MARKET_SNAPSHOT, Changes, State

SEED_DEFAULT: Final = 7
_ONE: Final = Decimal(1)
_TIME_SNAPSHOT: Final = "time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A market with the rules and the time that belong to it.

    Attributes:
        clock: what the exchange goes by.
        speed: market seconds a second.
        facts: what `paper status` shows besides the market's own.
    """

    market: Market
    contracts: Mapping[str, Contract]
    clock: Clock
    speed: Decimal
    facts: Mapping[str, object]


def kind_of(state: State, options: PaperOptions) -> MarketKind:
    """Return which kind of market it will be."""
    remembered = state.load_market()
    if options.market is not None:
        return options.market
    return MarketKind.SYNTHETIC if remembered is None else MarketKind(str(remembered["kind"]))


def choose_market(state: State, options: PaperOptions, machine: Clock) -> Chosen:
    """Return the synthetic or replayed market, as it was left or new.

    Raises:
        UsageError: the files cannot be replayed.
        NotSent: another market is asked for, but the account is not flat.
    """
    if kind_of(state, options) is MarketKind.REPLAY:
        return _replay(state, options, machine)
    return _synthetic(state, options, machine)


def let_change(state: State, kind: MarketKind, now_ms: int, *, anew: bool = False) -> None:
    """Take note that the account trades on another market from now on, if it does.

    Args:
        now_ms: the new market's time.
        anew: it is another market although its kind is the same.

    Raises:
        NotSent: it trades on one already and is not flat.
    """
    remembered = state.load_market()
    if remembered is None or (remembered["kind"] == kind and not anew):
        return
    if not _is_flat(state):
        raise NotSent(
            f"the account has positions or orders on the {remembered['kind']} market:"
            " they cannot be taken to another one",
            advice="close them first, or `trader paper reset` on the old market",
        )
    changes = Changes()
    changes.snapshots[_TIME_SNAPSHOT] = {"now_ms": now_ms}
    changes.snapshots[MARKET_SNAPSHOT] = {"kind": kind, "now_ms": now_ms}
    state.save(changes)


def _synthetic(state: State, options: PaperOptions, machine: Clock) -> Chosen:
    remembered = state.load_market()
    if remembered is not None and remembered["kind"] == MarketKind.SYNTHETIC:
        characters = remembered.get("characters", {})
        contracts = with_characters(CONTRACTS, characters)
        market = SyntheticMarket.restore(cast("SyntheticState", remembered), contracts=contracts)
    else:
        contracts = with_characters(CONTRACTS, options.characters)
        seed = SEED_DEFAULT if options.seed is None else options.seed
        market = SyntheticMarket(
            seed=seed,
            birth_ms=machine.now_ms(),
            contracts=contracts,
            characters=options.characters,
        )
        let_change(state, MarketKind.SYNTHETIC, market.now_ms)
    return Chosen(market=market, contracts=contracts, clock=machine, speed=_ONE, facts={})


def _replay(state: State, options: PaperOptions, machine: Clock) -> Chosen:
    remembered = state.load_market() or {}
    known = remembered if remembered.get("kind") == MarketKind.REPLAY else {}
    wanted: dict[str, Any] = {
        "files": [str(path.absolute()) for path in options.files],
        "symbol": options.symbols[0] if options.symbols else None,
    }
    if not options.files:
        wanted = {name: known.get(name) for name in wanted}
    if not wanted["files"]:
        raise UsageError(
            "a replay needs the files to be replayed",
            advice="trader paper start --market replay BTCUSDT-1m-2025-06.csv …",
        )
    resumes = options.start_ms is None and all(wanted[name] == known.get(name) for name in wanted)
    speed = options.speed or Decimal(str(known["speed"] if resumes else _ONE))
    market = open_replay(
        [Path(name) for name in wanted["files"]],
        symbol=wanted["symbol"],
        start_ms=int(known["now_ms"]) if resumes else options.start_ms,
        note={**wanted, "speed": str(speed)},
    )
    let_change(state, MarketKind.REPLAY, market.now_ms, anew=not resumes)
    return Chosen(
        market=market,
        contracts=market.contracts,
        clock=ReplayClock(machine, start_ms=market.now_ms, speed=speed),
        speed=speed,
        facts={"speed": str(speed), "files": wanted["files"]},
    )


def _is_flat(state: State) -> bool:
    if state.open_orders() or state.open_algos():
        return False
    return all(
        Decimal(position["amount"]) == 0
        for name, body in state.snapshots().items()
        if name.startswith("symbol/")
        for position in body["positions"]
    )
