"""What `config.toml` decides, section by section, as frozen values.

A key that is not set has its default here or in the dataclass of the room it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trader_cli.domain.rules import BridgeRules, EntryPolicy, ForeignRules, OrderDefaults
from trader_cli.paper.process import PaperOptions
from trader_cli.trading.risk.risk_manager import RiskLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """How patient the client is.

    Attributes:
        recv_window_ms: how late a signed request may arrive and still count.
        timeout_s: how long an answer may take before its outcome is unknown.
    """

    recv_window_ms: int = 5_000
    timeout_s: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSettings:
    """How long kill tries before it says what remains."""

    deadline_s: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """How long what happened stays in the journal before it moves into files beside it.

    Attributes:
        keep_days: days; 0 keeps everything in the journal. What is still needed always stays.
    """

    keep_days: int = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """What `config.toml` says; every default is the dataclass's own.

    Attributes:
        env: the environment's name, None if the file does not choose one.
    """

    env: str | None = None
    risk: RiskLimits = field(default_factory=RiskLimits)
    entry: EntryPolicy = field(default_factory=EntryPolicy)
    orders: OrderDefaults = field(default_factory=OrderDefaults)
    foreign: ForeignRules = field(default_factory=ForeignRules)
    bridge: BridgeRules = field(default_factory=BridgeRules)
    paper: PaperOptions = field(default_factory=PaperOptions)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    kill: KillSettings = field(default_factory=KillSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
