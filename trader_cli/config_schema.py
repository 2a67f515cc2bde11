"""What `config.toml` may say: every section, key, type and range, checked by pydantic.

Defaults are not here: a key that is not set leaves the default of the dataclass it belongs to.
Each type carries in words what it allows, which is what the operator is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_core import ErrorDetails

from trader_cli.config_environ import Environment, Problem
from trader_cli.config_sections import (
    JournalSettings,
    KillSettings,
    NetworkSettings,
    Sections,
)
from trader_cli.domain.rules import (
    BridgeRules,
    EntryPolicy,
    Fallback,
    ForeignPolicy,
    ForeignRules,
    OrderDefaults,
)
from trader_cli.domain.terms import MarginType
from trader_cli.paper.markets.character import characters_text
from trader_cli.paper.process import MarketKind, PaperOptions
from trader_cli.trading.risk.risk_manager import RiskLimits

_UNSET: Final[Any] = None
_EXPONENT_MAX: Final = 20
_SHOWN_MAX: Final = 40


def _to_decimal(value: object) -> object:
    """Let a whole number stand for a decimal one; text never does."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, Decimal) and value.is_finite():
        if abs(value.adjusted()) > _EXPONENT_MAX:
            raise ValueError("too large or too small")
        return Decimal(format(value, "f"))  # 1e3 becomes 1000
    return value


def _known_zone(name: str) -> str:
    if name:
        try:
            ZoneInfo(name)
        except (KeyError, OSError) as error:
            raise ValueError("unknown") from error
    return name


def _upper(symbol: str) -> str:
    if symbol != symbol.upper():
        raise ValueError("not upper case")
    return symbol


Number = Annotated[Decimal, BeforeValidator(_to_decimal)]
Usd = Annotated[
    Number, Field(gt=0, le=10**9, description="a number of USD above 0, at most 1000000000")
]
Percent = Annotated[Number, Field(gt=0, le=100, description="a percentage above 0, at most 100")]
RoiPercent = Annotated[
    Number, Field(gt=0, le=1000, description="a percentage of margin above 0, at most 1000")
]
Bps = Annotated[Number, Field(ge=0, le=1000, description="basis points from 0 to 1000")]
SomeSeconds = Annotated[Number, Field(gt=0, le=86_400, description="seconds above 0, to 86400")]
Seconds = Annotated[int, Field(ge=0, le=86_400, description="whole seconds from 0 to 86400")]
Deadline = Annotated[int, Field(ge=1, le=3_600, description="whole seconds from 1 to 3600")]
Leverage = Annotated[int, Field(ge=1, le=125, description="a whole number from 1 to 125")]
Count = Annotated[int, Field(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")]
Switch = Annotated[bool, Field(description="true or false")]
Symbol = Annotated[
    str,
    Field(pattern=r"^\w{2,40}$", description="a symbol in capitals, such as BTCUSDT"),
    AfterValidator(_upper),
]
Origin = Annotated[
    str,
    Field(
        pattern=r"^(http|ws)s?://[^/\s]+$",
        description="an origin without a path, such as https://fapi.binance.com",
    ),
]
Name = Annotated[str, Field(pattern=r"^[\w-]{1,40}$")]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class RiskSection(_Section):
    max_position_usd: Usd = _UNSET
    max_total_exposure_usd: Usd = _UNSET
    max_leverage: Leverage = _UNSET
    max_daily_loss_usd: Usd = _UNSET
    max_daily_loss_pct: Percent = _UNSET
    emergency_stop_pct: Percent = _UNSET
    price_band_pct: Percent = _UNSET
    stale_price_s: SomeSeconds = _UNSET
    assumed_stop_pct: Percent = _UNSET
    on_day_limit: Annotated[Literal["close", "stop"], Field(description='"close" or "stop"')] = (
        _UNSET
    )
    max_loss_per_trade_usd: Usd = _UNSET
    cool_down_after_loss_s: SomeSeconds = _UNSET
    max_orders_per_minute: Count = _UNSET


class EntrySection(_Section):
    deadline_s: Deadline = _UNSET
    max_chase_bps: Bps = _UNSET
    fallback: Annotated[Fallback, Field(strict=False, description='"taker" or "none"')] = _UNSET
    taker_slippage_bps: Bps = _UNSET
    protect_within_s: Deadline = _UNSET


class OrdersSection(_Section):
    default_stop_roi_pct: RoiPercent = _UNSET
    default_take_profit_roi_pct: RoiPercent = _UNSET


_POLICIES: Final = ", ".join(f'"{policy}"' for policy in ForeignPolicy)
Policy = Annotated[ForeignPolicy, Field(strict=False, description=f"one of {_POLICIES}")]


class ForeignSection(_Section):
    default: Policy = _UNSET
    symbols: Annotated[
        dict[Symbol, Policy],
        Field(description=f'a policy by symbol, such as {{ BTCUSDT = "alert" }}: {_POLICIES}'),
    ] = _UNSET


class BridgeSection(_Section):
    symbol: Symbol = _UNSET
    symbols: Annotated[
        tuple[Symbol, ...],
        Field(strict=False, min_length=1, description='a list of symbols, such as ["BTCUSDT"]'),
    ] = _UNSET
    max_age_s: Deadline = _UNSET
    future_tolerance_s: Seconds = _UNSET
    confirm_ms: Annotated[
        int, Field(ge=0, le=60_000, description="milliseconds from 0 to 60000")
    ] = _UNSET
    cool_down_s: Seconds = _UNSET
    flip_window_s: Seconds = _UNSET
    feedback_max_age_s: Deadline = _UNSET
    time_zone: Annotated[
        str,
        AfterValidator(_known_zone),
        Field(description='an IANA name such as "Europe/Berlin", or "" for the machine\'s own'),
    ] = _UNSET
    priority: Annotated[
        tuple[Name, ...],
        Field(strict=False, description='a list of advisors, such as ["wolf", "dragon"]'),
    ] = _UNSET
    capital_usd: Usd = _UNSET
    default_size_pct: Percent = _UNSET
    default_stop_roi_pct: RoiPercent = _UNSET
    default_take_profit_roi_pct: RoiPercent = _UNSET
    default_leverage: Leverage = _UNSET
    breaker_losses: Count = _UNSET
    margin_type: Annotated[MarginType, Field(strict=False, description='"isolated" or "cross"')] = (
        _UNSET
    )
    honour_max_holding: Switch = _UNSET


class CharacterSection(_Section):
    start_price: Usd = _UNSET
    volatility: Annotated[
        Number, Field(gt=0, le=10, description="a fraction a year above 0, at most 10")
    ] = _UNSET
    daily_volume: Annotated[
        Number, Field(gt=0, le=10**15, description="base units a day above 0")
    ] = _UNSET
    jumps_per_day: Annotated[
        Number, Field(ge=0, le=1440, description="a number from 0 to 1440")
    ] = _UNSET
    jump_pct: Annotated[Number, Field(gt=0, le=50, description="a percentage above 0, to 50")] = (
        _UNSET
    )
    spread_ticks: Annotated[
        int, Field(ge=1, le=10_000, description="a whole number of ticks from 1 to 10000")
    ] = _UNSET
    depth: Annotated[Number, Field(gt=0, le=1000, description="a factor above 0, to 1000")] = _UNSET


class PaperSection(_Section):
    market: Annotated[
        MarketKind, Field(strict=False, description='"synthetic", "replay" or "mirror"')
    ] = _UNSET
    files: Annotated[
        tuple[Annotated[Path, Field(strict=False)], ...],
        Field(strict=False, description='a list of files, such as ["BTCUSDT-1m-2025-06.zip"]'),
    ] = _UNSET
    symbols: Annotated[
        tuple[Symbol, ...],
        Field(strict=False, description='a list of symbols, such as ["BTCUSDT"]'),
    ] = _UNSET
    speed: Annotated[
        Number, Field(gt=0, le=100_000, description="a factor above 0, at most 100000")
    ] = _UNSET
    start_ms: Annotated[
        int, Field(ge=0, lt=2**53, description="a moment in UTC epoch milliseconds")
    ] = _UNSET
    latency_ms: Annotated[
        int, Field(ge=0, le=60_000, description="milliseconds from 0 to 60000")
    ] = _UNSET
    upstream_url: Origin = _UNSET
    upstream_stream_url: Origin = _UNSET
    characters: Annotated[
        dict[Symbol, CharacterSection],
        Field(description="settings by symbol, such as { BTCUSDT = { volatility = 0.8 } }"),
    ] = _UNSET
    seed: Annotated[
        int, Field(ge=0, lt=2**63, description="a whole number from 0 to 9223372036854775807")
    ] = _UNSET
    balance: Usd = _UNSET
    rate_limits: Switch = _UNSET
    old_streams: Switch = _UNSET


class NetworkSection(_Section):
    recv_window_ms: Annotated[
        int, Field(ge=100, le=60_000, description="milliseconds from 100 to 60000")
    ] = _UNSET
    timeout_s: Annotated[int, Field(ge=1, le=120, description="whole seconds from 1 to 120")] = (
        _UNSET
    )


class KillSection(_Section):
    deadline_s: Deadline = _UNSET


class JournalSection(_Section):
    keep_days: Annotated[
        int, Field(ge=0, le=36_500, description="whole days from 0 (keep all) to 36500")
    ] = _UNSET


class ConfigFile(_Section):
    env: Annotated[Environment, Field(strict=False, description='"paper", "testnet" or "live"')] = (
        _UNSET
    )
    risk: RiskSection = Field(default_factory=RiskSection)
    entry: EntrySection = Field(default_factory=EntrySection)
    orders: OrdersSection = Field(default_factory=OrdersSection)
    foreign: ForeignSection = Field(default_factory=ForeignSection)
    bridge: BridgeSection = Field(default_factory=BridgeSection)
    paper: PaperSection = Field(default_factory=PaperSection)
    network: NetworkSection = Field(default_factory=NetworkSection)
    kill: KillSection = Field(default_factory=KillSection)
    journal: JournalSection = Field(default_factory=JournalSection)


SECTIONS: Final[Mapping[str, type[_Section]]] = {
    "risk": RiskSection,
    "entry": EntrySection,
    "orders": OrdersSection,
    "foreign": ForeignSection,
    "bridge": BridgeSection,
    "paper": PaperSection,
    "network": NetworkSection,
    "kill": KillSection,
    "journal": JournalSection,
}


def parse_sections(raw: Mapping[str, Any], *, path: Path, problems: list[Problem]) -> Sections:
    """Return what the file says; where anything is wrong, only which environment it chooses."""
    try:
        file = ConfigFile.model_validate(raw)
    except ValidationError as error:
        problems.extend(_problem(path, detail) for detail in error.errors(include_url=False))
        return Sections(env=_env_of(raw))
    bridge = _set_keys(file.bridge)
    if "symbols" not in bridge and "symbol" in bridge:
        bridge["symbols"] = (bridge["symbol"],)
    elif "symbol" not in bridge and "symbols" in bridge:
        bridge["symbol"] = bridge["symbols"][0]
    rules = BridgeRules(**bridge)
    if rules.symbol not in rules.symbols:
        problems.append(
            f"{path}: bridge.symbol: {rules.symbol!r}: allowed is one of bridge.symbols"
            f" ({', '.join(rules.symbols)})"
        )
    return Sections(
        env=None if file.env is None else str(file.env),
        risk=RiskLimits(**_set_keys(file.risk)),
        entry=EntryPolicy(**_set_keys(file.entry)),
        orders=OrderDefaults(**_set_keys(file.orders)),
        foreign=ForeignRules(**_set_keys(file.foreign)),
        bridge=rules,
        paper=_paper_options(file.paper),
        network=NetworkSettings(**_set_keys(file.network)),
        kill=KillSettings(**_set_keys(file.kill)),
        journal=JournalSettings(**_set_keys(file.journal)),
    )


def _paper_options(section: PaperSection) -> PaperOptions:
    keys = _set_keys(section)
    if "characters" in keys:
        keys["characters"] = characters_text(keys["characters"])
    return PaperOptions(**keys)


def _env_of(raw: Mapping[str, Any]) -> str | None:
    name = raw.get("env")
    return name if isinstance(name, str) and name in {*Environment} else None


def _set_keys(section: _Section) -> dict[str, Any]:
    return section.model_dump(exclude_unset=True)


def _problem(path: Path, detail: ErrorDetails) -> Problem:
    location = detail["loc"]
    key = ".".join(str(part) for part in location if isinstance(part, str))
    if detail["type"] == "extra_forbidden":
        return f"{path}: {key}: unknown key; {_hint(location)}"
    names = [part for part in location if isinstance(part, str)]
    if len(names) == 1 and names[0] in SECTIONS:
        return f"{path}: {key}: allowed is a section [{key}] with keys"
    model = ConfigFile if len(names) == 1 else SECTIONS[names[0]]
    # Below a key of a section there are only the operator's own names.
    allowed = model.model_fields[names[:2][-1]].description
    return f"{path}: {key}: {_shown(detail['input'])}: allowed is {allowed}"


def _hint(location: tuple[int | str, ...]) -> str:
    """Say what was probably meant; the value is never repeated, it may be a secret."""
    *section, name = (str(part) for part in location)
    if any(word in name.lower() for word in ("api_key", "secret")):
        return "keys belong in .env or the environment, as BINANCE_API_KEY and BINANCE_API_SECRET"
    model = SECTIONS[section[0]] if section else ConfigFile
    elsewhere = [f"[{other}]" for other, fields in SECTIONS.items() if name in fields.model_fields]
    if elsewhere:
        return f"it belongs in {' or '.join(elsewhere)}"
    close = get_close_matches(name, model.model_fields, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"allowed is {', '.join(model.model_fields)}"


def _shown(value: object) -> str:
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
