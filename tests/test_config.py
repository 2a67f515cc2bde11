"""Configuration: one place wins over another, all problems at once, no secret ever shown."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader_cli.clock import SystemClock
from trader_cli.config import Settings, load_settings
from trader_cli.config_environ import Environment, Secret
from trader_cli.config_schema import SECTIONS, parse_sections
from trader_cli.config_sections import Sections
from trader_cli.domain.rules import BridgeRules, Fallback, ForeignPolicy
from trader_cli.domain.terms import MarginType
from trader_cli.errors import ConfigError, PermissionDenied, UsageError
from trader_cli.journal.errors import JournalCorrupt
from trader_cli.journal.journal import Journal
from trader_cli.trading.risk.limits_in_force import (
    JournaledLimits,
    confirmed,
    limits_in_force,
    loosened,
    overlaid,
    read_limits,
    write_limits,
)
from trader_cli.trading.risk.risk_manager import RiskLimits

ROOT = Path(__file__).parent.parent
KEY = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk1234"
SECRET = "ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss5678"
KEYS = {"BINANCE_API_KEY": KEY, "BINANCE_API_SECRET": SECRET}
PAPER, TESTNET, LIVE = Environment.PAPER, Environment.TESTNET, Environment.LIVE

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load from an empty folder, with what a test puts there."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg_config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg_data"))
    cwd = tmp_path / "cwd"
    cwd.mkdir()

    def load(
        environ: dict[str, str] | None = None,
        *,
        toml: str | None = None,
        dotenv: str | None = None,
        env: str | None = None,
        config: Path | None = None,
        live: bool = False,
        for_kill: bool = False,
    ) -> Settings:
        if toml is not None:
            (cwd / "config.toml").write_text(toml)
        if dotenv is not None:
            (cwd / ".env").write_text(dotenv)
        return load_settings(
            env=env, config=config, live=live, environ=environ or {}, cwd=cwd, for_kill=for_kill
        )

    return load


def problems_of(load: Load, *args: object, **kwargs: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(*args, **kwargs)
    assert caught.value.exit_code == 2
    return caught.value.message.splitlines()


def test_without_anything_it_is_paper_with_the_operators_own_limits(
    load: Load, tmp_path: Path
) -> None:
    settings = load()

    assert settings.environment is PAPER
    assert settings.keys is None
    assert settings.config_file is None
    assert settings.home == tmp_path / "xdg_data" / "trader"
    assert settings.state_dir == settings.home / "paper"
    assert settings.exchange_dir == settings.home / "exchange"
    risk = settings.risk
    assert (risk.max_position_usd, risk.max_leverage) == (Decimal(1000), 20)
    assert (risk.max_daily_loss_usd, risk.max_daily_loss_pct) == (Decimal(50), Decimal(5))
    assert risk.emergency_stop_pct == Decimal(10)


@pytest.mark.parametrize(
    ("flag", "environ", "toml", "expected"),
    [
        (None, {}, "", PAPER),
        (None, KEYS, "", TESTNET),
        (None, {**KEYS, "BINANCE_TESTNET": "true"}, "", TESTNET),
        (None, {**KEYS, "BINANCE_TESTNET": "false"}, "", LIVE),
        (None, {**KEYS, "BINANCE_TESTNET": " False "}, "", LIVE),
        (None, {**KEYS, "BINANCE_TESTNET": ""}, "", TESTNET),
        (None, {"BINANCE_TESTNET": "false"}, "", PAPER),
        (None, {**KEYS, "BINANCE_TESTNET": "false"}, 'env = "paper"', PAPER),
        (None, {"TRADER_ENV": "testnet"}, 'env = "paper"', TESTNET),
        (None, {"TRADER_ENV": ""}, 'env = "testnet"', TESTNET),
        ("paper", {"TRADER_ENV": "testnet"}, 'env = "testnet"', PAPER),
        ("live", {**KEYS, "BINANCE_TESTNET": "false"}, "", LIVE),
        ("live", KEYS, "", LIVE),
    ],
)
def test_flag_over_variable_over_file_over_key(
    load: Load, flag: str | None, environ: dict[str, str], toml: str, expected: Environment
) -> None:
    assert load(environ, env=flag, toml=toml).environment is expected


@pytest.mark.parametrize(
    ("flag", "environ", "toml"),
    [("live", {}, ""), (None, {"TRADER_ENV": "live"}, ""), (None, {}, 'env = "live"')],
)
def test_live_while_the_key_is_called_testnets_is_refused_except_for_kill(
    load: Load, flag: str | None, environ: dict[str, str], toml: str
) -> None:
    environ = {**KEYS, "BINANCE_TESTNET": "true", **environ}

    (problem,) = problems_of(load, environ, env=flag, toml=toml)
    assert "BINANCE_TESTNET" in problem

    settings = load(environ, env=flag, toml=toml, for_kill=True)
    assert settings.environment is LIVE
    assert settings.exchange_keys_for is TESTNET


@pytest.mark.parametrize("name", ["BINANCE_TESTNET", "TRADER_ENV"])
def test_a_misspelt_choice_is_told_and_never_means_live(load: Load, name: str) -> None:
    (problem,) = problems_of(load, {**KEYS, name: "flase"})

    assert name in problem
    assert "allowed is" in problem
    assert load({**KEYS, name: "flase"}, for_kill=True).environment is TESTNET


def test_an_unknown_environment_flag_is_refused(load: Load) -> None:
    assert "--env: 'prod': allowed is paper, testnet or live" in problems_of(load, env="prod")


def test_env_file_fills_in_and_never_overrides(load: Load) -> None:
    dotenv = f"BINANCE_API_KEY={KEY}\nexport BINANCE_API_SECRET='{SECRET}'\nTRADER_ENV=testnet\n"

    assert load(dotenv=dotenv).required_keys().api_secret.reveal() == SECRET
    assert load({"TRADER_ENV": "paper"}, dotenv=dotenv).environment is PAPER


def test_a_dollar_in_a_secret_is_left_alone(load: Load) -> None:
    dotenv = f"BINANCE_API_KEY={KEY}\nBINANCE_API_SECRET=abc${{HOME}}$x\n"

    assert load(dotenv=dotenv).required_keys().api_secret.reveal() == "abc${HOME}$x"


def test_a_broken_line_of_the_env_file_is_told_with_its_number_and_without_its_text(
    load: Load,
) -> None:
    (problem,) = problems_of(load, dotenv=f"A=1\n{SECRET} is my secret\n")

    assert ".env: line 2:" in problem
    assert SECRET not in problem


def test_blanks_around_keys_are_trimmed(load: Load) -> None:
    keys = load(
        {"BINANCE_API_KEY": f" {KEY}\n", "BINANCE_API_SECRET": f"\t{SECRET} "}
    ).required_keys()

    assert (keys.api_key.reveal(), keys.api_secret.reveal()) == (KEY, SECRET)


@pytest.mark.parametrize(
    ("present", "missing"),
    [("BINANCE_API_KEY", "BINANCE_API_SECRET"), ("BINANCE_API_SECRET", "BINANCE_API_KEY")],
)
def test_half_a_key_pair_is_refused(load: Load, present: str, missing: str) -> None:
    (problem,) = problems_of(load, {present: KEY, missing: " "})

    assert problem.startswith(f"{missing}: is not set")


def test_a_missing_key_is_told_when_it_is_needed(load: Load) -> None:
    settings = load(env="testnet")

    with pytest.raises(PermissionDenied) as caught:
        settings.required_keys()
    assert caught.value.exit_code == 3


def test_a_key_with_blanks_inside_is_refused_unseen(load: Load) -> None:
    bad = f"{KEY} {KEY}"

    (problem,) = problems_of(load, {"BINANCE_API_KEY": bad, "BINANCE_API_SECRET": SECRET})

    assert problem.startswith("BINANCE_API_KEY:")
    assert KEY not in problem


def test_secrets_show_their_last_four_characters_at_most(load: Load) -> None:
    settings = load(KEYS)
    shown = (
        f"{settings!r} {settings} {settings.keys} {settings.required_keys().api_key:>10}"
        f" {dataclasses.asdict(settings)}"
    )

    assert KEY not in shown
    assert SECRET not in shown
    assert "***5678" in shown
    assert f"{Secret('short')} {Secret('short')!r}" == "*** ***"


def test_the_real_keys_never_go_to_the_embedded_exchange(load: Load) -> None:
    settings = load(KEYS, env="paper")

    assert settings.keys is None
    assert settings.exchange_keys_for is TESTNET


def test_paper_on_another_server_uses_the_given_keys(load: Load) -> None:
    settings = load({**KEYS, "TRADER_REST_URL": "http://127.0.0.1:9000/"}, env="paper")

    assert settings.required_keys().api_key.reveal() == KEY
    assert settings.rest_url == "http://127.0.0.1:9000"
    assert settings.stream_url == "ws://127.0.0.1:9000"


def test_both_origins_may_be_given(load: Load) -> None:
    settings = load(
        {"TRADER_REST_URL": "https://example.org", "TRADER_STREAM_URL": "wss://[::1]:1"}
    )

    assert (settings.rest_url, settings.stream_url) == ("https://example.org", "wss://[::1]:1")


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:9000",
        "ftp://example.org",
        "http://",
        "http://example.org/fapi",
        "http://example.org?x=1",
        "http://user:pass@example.org",
        "http://example.org:port",
        "http://example.org:99999",
        "ws://example.org",
    ],
)
def test_what_is_no_origin_is_refused(load: Load, url: str) -> None:
    (problem,) = problems_of(load, {"TRADER_REST_URL": url})

    assert problem.startswith("TRADER_REST_URL:")
    assert "pass" not in problem


def test_a_stream_origin_alone_is_refused(load: Load) -> None:
    (problem,) = problems_of(load, {"TRADER_STREAM_URL": "ws://127.0.0.1:1"})

    assert "TRADER_REST_URL: is not set" in problem


def test_live_is_never_pointed_elsewhere(load: Load) -> None:
    environ = {"TRADER_REST_URL": "http://127.0.0.1:1", "TRADER_STREAM_URL": "ws://127.0.0.1:1"}

    assert len(problems_of(load, environ, env="live")) == 2
    assert load(environ, env="live", for_kill=True).rest_url is None


def test_home_moves_all_state(load: Load, tmp_path: Path) -> None:
    assert load({"TRADER_HOME": str(tmp_path / "x")}).state_dir == tmp_path / "x" / "paper"
    assert load({"TRADER_HOME": "state"}).home == tmp_path / "cwd" / "state"


def test_config_flag_wins_over_the_folders_file_and_that_over_the_users(
    load: Load, tmp_path: Path
) -> None:
    user = tmp_path / "xdg_config" / "trader"
    user.mkdir(parents=True)
    (user / "config.toml").write_text("[kill]\ndeadline_s = 1\n")
    assert load().kill.deadline_s == 1

    assert load(toml="[kill]\ndeadline_s = 2\n").kill.deadline_s == 2

    (tmp_path / "cwd" / "mine.toml").write_text("[kill]\ndeadline_s = 3\n")
    assert load(config=Path("mine.toml")).kill.deadline_s == 3


def test_a_config_file_that_was_named_must_exist(load: Load) -> None:
    (problem,) = problems_of(load, config=Path("gone.toml"))

    assert "gone.toml" in problem


def test_values_arrive_as_exact_domain_types(load: Load) -> None:
    settings = load(
        toml="""
        [risk]
        max_position_usd = 250.10
        max_daily_loss_usd = 1e3
        [entry]
        fallback = "none"
        [bridge]
        symbol = "ETHUSDT"
        margin_type = "cross"
        priority = ["lion"]
        """
    )

    assert str(settings.risk.max_position_usd) == "250.10"
    assert str(settings.risk.max_daily_loss_usd) == "1000"
    assert settings.entry.fallback is Fallback.NONE
    assert settings.bridge == BridgeRules(
        symbol="ETHUSDT",
        symbols=("ETHUSDT",),
        margin_type=MarginType.CROSS,
        priority=("lion",),
    )


def test_all_problems_are_told_at_once_with_file_key_and_what_is_allowed(
    load: Load, tmp_path: Path
) -> None:
    toml = """
    env = "prod"
    leverage = 3
    [risk]
    max_leverage = 126
    max_position_usd = "1000"
    max_postion_usd = 5
    deadline_s = 5
    [entry]
    fallback = "maybe"
    [bridge]
    symbols = ["BTCUSDT", 7]
    time_zone = "Mars/Olympus"
    [nonsense]
    """

    problems = problems_of(load, {"BINANCE_API_KEY": KEY}, toml=toml)

    file = f"{tmp_path}/cwd/config.toml"
    assert sorted(problems) == sorted(
        [
            "BINANCE_API_SECRET: is not set, but BINANCE_API_KEY is: allowed is both or neither",
            f'{file}: env: \'prod\': allowed is "paper", "testnet" or "live"',
            f"{file}: leverage: unknown key; allowed is env, risk, entry, orders, foreign,"
            " bridge, paper, network, kill, journal",
            f"{file}: risk.max_leverage: 126: allowed is a whole number from 1 to 125",
            f"{file}: risk.max_position_usd: '1000': allowed is a number of USD above 0, at most"
            " 1000000000",
            f"{file}: risk.max_postion_usd: unknown key; did you mean max_position_usd?",
            f"{file}: risk.deadline_s: unknown key; it belongs in [entry] or [kill]",
            f'{file}: entry.fallback: \'maybe\': allowed is "taker" or "none"',
            f'{file}: bridge.symbols: 7: allowed is a list of symbols, such as ["BTCUSDT"]',
            f"{file}: bridge.time_zone: 'Mars/Olympus': allowed is an IANA name such as"
            ' "Europe/Berlin", or "" for the machine\'s own',
            f"{file}: nonsense: unknown key; allowed is env, risk, entry, orders, foreign,"
            " bridge, paper, network, kill, journal",
        ]
    )


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("risk.max_leverage", "1", "125"),
        ("risk.emergency_stop_pct", "0.01", "100"),
        ("entry.max_chase_bps", "0", "1000"),
        ("entry.deadline_s", "1", "3600"),
        ("bridge.cool_down_s", "0", "86400"),
        ("network.recv_window_ms", "100", "60000"),
    ],
)
def test_ranges_hold_on_both_sides(load: Load, key: str, low: str, high: str) -> None:
    section, name = key.split(".")
    for text in (low, high):
        load(toml=f"[{section}]\n{name} = {text}\n")
    for text in ("-1", str(Decimal(high) + 1), "nan", "inf", "true", "1e999999999", '"x"'):
        problems = problems_of(load, toml=f"[{section}]\n{name} = {text}\n")
        assert len(problems) == 1
        assert f"{key}: " in problems[0]


@pytest.mark.parametrize("toml", ["risk = 3", "[risk", "[[risk]]", "\x00", "[kill]\ndeadline_s = "])
def test_a_file_that_is_no_configuration_gets_one_line(load: Load, toml: str) -> None:
    assert len(problems_of(load, toml=toml)) == 1


def test_a_secret_in_the_file_is_refused_unseen_and_sent_where_it_belongs(load: Load) -> None:
    problems = problems_of(load, toml=f'api_key = "{KEY}"\n[risk]\napi_secret = "{SECRET}"\n')

    assert len(problems) == 2
    assert all(".env" in problem for problem in problems)
    assert not any(KEY in problem or SECRET in problem for problem in problems)


def test_a_symbol_outside_the_traded_ones_is_refused(load: Load) -> None:
    toml = '[bridge]\nsymbol = "ETHUSDT"\nsymbols = ["BTCUSDT"]\n'

    (problem,) = problems_of(load, toml=toml)

    assert "bridge.symbol" in problem


def test_kill_gets_settings_from_whatever_is_broken(load: Load) -> None:
    settings = load(
        {**KEYS, "TRADER_REST_URL": "nonsense"},
        toml='env = "testnet"\n[risk]\nmax_leverage = "all"\n',
        dotenv="???\n= =",
        config=None,
        for_kill=True,
    )

    assert settings.environment is TESTNET
    assert settings.required_keys().api_key.reveal() == KEY
    assert settings.kill.deadline_s == 30
    assert len(settings.problems) >= 3


@given(
    st.dictionaries(
        st.sampled_from([*SECTIONS, "env", "x"]),
        st.text() | st.integers() | st.lists(st.integers()),
        min_size=1,
    )
)
def test_toml_of_any_wrong_shape_is_told_key_by_key(raw: dict[str, object]) -> None:
    problems: list[str] = []

    parse_sections(raw, path=Path("config.toml"), problems=problems)

    assert len(problems) == len(raw)


def example() -> str:
    return (ROOT / "config.toml.example").read_text()


def test_the_example_says_exactly_the_defaults(load: Load) -> None:
    assert load(toml=example()).sections == Sections()


def test_the_example_documents_every_key_and_no_other(load: Load) -> None:
    """What is off by default stands there as a comment that can be switched on."""
    switched_on = re.sub(r"(?m)^# (\w+ = )", r"\1", example())

    load(toml=switched_on)

    documented = tomllib.loads(switched_on)
    assert documented.pop("env") == "paper"
    assert {name: set(keys) for name, keys in documented.items()} == {
        name: set(model.model_fields) for name, model in SECTIONS.items()
    }


def test_others_positions_have_a_policy_by_symbol(load: Load) -> None:
    rules = load(toml='[foreign]\ndefault = "refuse"\nsymbols = { ETHUSDT = "adopt" }').foreign

    assert rules.policy("BTCUSDT") is ForeignPolicy.REFUSE
    assert rules.policy("ETHUSDT") is ForeignPolicy.ADOPT
    assert load(toml="").foreign.policy("BTCUSDT") is ForeignPolicy.ALERT


@pytest.mark.parametrize(
    ("toml", "key"),
    [
        ('default = "close"', "foreign.default"),
        ('symbols = { ETHUSDT = "close" }', "foreign.symbols.ETHUSDT"),
        ('symbols = { ethusdt = "alert" }', "foreign.symbols.ethusdt"),
        ('symbols = "alert"', "foreign.symbols"),
        ('policy = "alert"', "foreign.policy"),
    ],
)
def test_a_wrong_policy_is_told_with_its_key(load: Load, toml: str, key: str) -> None:
    (problem,) = problems_of(load, toml=f"[foreign]\n{toml}")

    assert f" {key}" in problem
    assert "allowed" in problem


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_of_a_section_can_be_configured(section: str) -> None:
    names = {field.name for field in dataclasses.fields(getattr(Sections(), section))}

    assert set(SECTIONS[section].model_fields) == names


def test_the_env_example_is_valid_and_sets_nothing(load: Load) -> None:
    text = (ROOT / ".env.example").read_text()

    assert load(dotenv=text).environment is PAPER
    for name in ("BINANCE_API_KEY", "BINANCE_TESTNET", "TRADER_ENV", "TRADER_HOME"):
        assert f"\n# {name}=" in text


def test_importing_the_configuration_does_not_import_what_reads_it() -> None:
    code = (
        "import sys, trader_cli.config;"
        "print([name for name in ('pydantic', 'dotenv', 'aiohttp', 'binance')"
        " if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


BASE = RiskLimits()
LOOSER: list[tuple[str, object]] = [
    ("max_position_usd", Decimal(1001)),
    ("max_leverage", 21),
    ("max_daily_loss_usd", Decimal(51)),
    ("max_daily_loss_pct", Decimal(6)),
    ("emergency_stop_pct", Decimal(11)),
    ("price_band_pct", Decimal(6)),
    ("stale_price_s", Decimal(11)),
    ("assumed_stop_pct", Decimal(1)),
    ("on_day_limit", "stop"),
    ("max_total_exposure_usd", Decimal(1001)),
]
TIGHTER: list[tuple[str, object]] = [
    ("max_position_usd", Decimal(999)),
    ("max_leverage", 19),
    ("assumed_stop_pct", Decimal(3)),
    ("max_total_exposure_usd", Decimal(999)),
    ("max_loss_per_trade_usd", Decimal(10)),
    ("cool_down_after_loss_s", Decimal(10)),
    ("max_orders_per_minute", 10),
]


def changed(limits: RiskLimits, name: str, value: object) -> RiskLimits:
    values: dict[str, Any] = {name: value}
    return dataclasses.replace(limits, **values)


def settled(limits: RiskLimits) -> JournaledLimits:
    return JournaledLimits(in_force=limits, accepted=limits)


def test_the_first_configuration_holds_whole_and_is_to_be_journaled() -> None:
    present = limits_in_force(None, BASE)

    assert (present.limits, present.waiting) == (BASE, ())
    assert present.to_journal == settled(BASE)


def test_an_unchanged_configuration_changes_nothing() -> None:
    present = limits_in_force(settled(BASE), BASE)

    assert (present.limits, present.waiting, present.to_journal) == (BASE, (), None)


@pytest.mark.parametrize(("name", "value"), LOOSER)
def test_a_looser_limit_waits_until_it_is_confirmed(name: str, value: object) -> None:
    configured = changed(BASE, name, value)

    present = limits_in_force(settled(BASE), configured)

    assert present.limits == BASE
    assert [loosening.name for loosening in present.waiting] == [name]
    assert present.to_journal is None
    after = confirmed(settled(BASE), configured)
    assert limits_in_force(after, configured).limits == configured
    assert limits_in_force(after, configured).waiting == ()


@pytest.mark.parametrize(("name", "value"), TIGHTER)
def test_a_tighter_limit_binds_at_once_and_going_back_waits(name: str, value: object) -> None:
    configured = changed(BASE, name, value)

    present = limits_in_force(settled(BASE), configured)

    assert present.limits == configured
    assert present.waiting == ()
    assert present.to_journal is not None
    back = limits_in_force(present.to_journal, BASE)
    assert back.limits == configured
    assert [loosening.name for loosening in back.waiting] == [name]


def test_what_risk_set_put_there_holds_until_that_key_of_the_file_changes() -> None:
    by_hand = overlaid(settled(BASE), "max_position_usd", Decimal(2000))

    assert limits_in_force(by_hand, BASE).limits.max_position_usd == Decimal(2000)
    assert loosened(BASE, by_hand.in_force)[0].name == "max_position_usd"

    tighter = changed(BASE, "max_position_usd", Decimal(1500))
    assert limits_in_force(by_hand, tighter).limits.max_position_usd == Decimal(1500)
    looser = changed(BASE, "max_position_usd", Decimal(3000))
    assert limits_in_force(by_hand, looser).limits.max_position_usd == Decimal(2000)


def test_an_unknown_limit_cannot_be_set() -> None:
    with pytest.raises(UsageError, match="is no limit"):
        overlaid(settled(BASE), "max_fun", Decimal(1))


def test_limits_survive_the_journal(tmp_path: Path) -> None:
    limits = JournaledLimits(
        in_force=changed(BASE, "max_orders_per_minute", 5),
        accepted=changed(BASE, "on_day_limit", "stop"),
    )

    with Journal.open(tmp_path / "journal.db", SystemClock()) as journal:
        assert read_limits(journal) is None
        write_limits(journal, settled(BASE), reason="first")
        write_limits(journal, limits, reason="risk set")

        assert read_limits(journal) == limits

        journal.record("limits", {"in_force": {"max_leverage": "many"}, "accepted": {}})
        with pytest.raises(JournalCorrupt, match="limits cannot be read"):
            read_limits(journal)


some_limits = st.builds(
    RiskLimits,
    max_position_usd=st.integers(1, 9).map(Decimal),
    max_total_exposure_usd=st.none() | st.integers(1, 9).map(Decimal),
    max_leverage=st.integers(1, 9),
    assumed_stop_pct=st.integers(1, 9).map(Decimal),
    on_day_limit=st.sampled_from(["close", "stop"]),
    max_loss_per_trade_usd=st.none() | st.integers(1, 9).map(Decimal),
    cool_down_after_loss_s=st.none() | st.integers(1, 9).map(Decimal),
)


@given(some_limits, st.lists(some_limits, max_size=5))
def test_no_series_of_configurations_loosens_anything_unconfirmed(
    first: RiskLimits, later: list[RiskLimits]
) -> None:
    journaled = settled(first)
    for configured in later:
        present = limits_in_force(journaled, configured)

        assert loosened(journaled.in_force, present.limits) == ()
        journaled = present.to_journal or journaled
