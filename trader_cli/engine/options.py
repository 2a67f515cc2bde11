"""How one run of the engine is set up: plain values, fixed for its life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from trader_cli.bridge.feedback import Source
from trader_cli.domain.rules import BridgeRules, EntryPolicy, ForeignRules
from trader_cli.engine.advisors import AdvisorProgram
from trader_cli.trading.risk.risk_terms import EntryBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How one run is set up.

    Attributes:
        bridge_dir: where the advisors write; created if missing.
        log_dir: where the advisors' output goes.
        source: how feedback names where its numbers come from.
        zone: where the advisors' naive timestamps are local.
        hedge_mode: the account holds LONG and SHORT apart.
        programs: advisors to start, with `advisor_environment`.
        blocks: reasons outside the limits why nothing may open (the live gate).
        kernel_events: False where time is virtual: the bridge files are polled only.
    """

    bridge_dir: Path
    log_dir: Path
    bridge: BridgeRules
    entry: EntryPolicy
    foreign: ForeignRules = field(default_factory=ForeignRules)
    source: Source
    zone: tzinfo
    hedge_mode: bool
    recv_window_ms: int = 5_000
    programs: tuple[AdvisorProgram, ...] = ()
    advisor_environment: Mapping[str, str] = field(default_factory=dict)
    blocks: tuple[EntryBlock, ...] = ()
    kernel_events: bool = True
