"""The examples do what their page says: on a local market, and with a local language model."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from trader_cli.bridge.freshness import judge
from trader_cli.bridge.local_time import zone_of
from trader_cli.bridge.reader import read_sections
from trader_cli.clock import SystemClock
from trader_cli.domain.signal import Command, Signal

EXAMPLES = Path(__file__).parent.parent / "examples"
PULSE = EXAMPLES / "advisors" / "pulse.py"
ASK = EXAMPLES / "advisors" / "ask_llm.py"
CANDLE = [1, "95000.0", "95100.0", "94900.0", "95050.0", "12.5", 2, "0", 1, "0", "0", "0"]


class Server(ThreadingHTTPServer):
    """A market and a language model in one; remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.says: object = "{}"
        self.status = 200
        self.paths: list[str] = []
        self.questions: list[dict[str, object]] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        if "bookTicker" in self.path:
            self._answer(200, {"symbol": "BTCUSDT", "bidPrice": "95000.0", "askPrice": "95000.2"})
        else:
            self._answer(200, [CANDLE] * 20)

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.questions.append(json.loads(self.rfile.read(length)))
        self.server.keys.append(self.headers["Authorization"])
        self.server.paths.append(self.path)
        message = {"role": "assistant", "content": self.server.says}
        self._answer(self.server.status, {"choices": [{"message": message}]})

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def run_once(program: Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(program), "--once"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def read(path: Path) -> list[Signal]:
    now_ms = SystemClock().now_ms()
    signals = read_sections(path.name, path.read_bytes(), zone=zone_of(""), now_ms=now_ms)
    assert isinstance(signals, list)
    return signals


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pulse_decides_at_once_and_the_engine_would_act_on_it(
    server: Server, tmp_path: Path
) -> None:
    result = run_once(PULSE, tmp_path, TRADER_REST_URL=server.url)

    assert (result.returncode, result.stderr) == (0, "")
    (signal,) = read(tmp_path / "ai_wolf_bridge.json")
    assert (signal.advisor, signal.command, signal.problems) == ("wolf", Command.LONG, ())
    assert (signal.leverage, signal.size_pct) == (125, 95)
    assert signal.stop_roi_pct is not None
    assert signal.take_profit_roi_pct is not None
    assert judge(signal, now_ms=SystemClock().now_ms()).tradable


def test_pulse_keeps_what_others_wrote(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "ai_wolf_bridge.json"
    path.write_text(json.dumps({"wolf_to_ai": {"whale_status": {"dominance": 1}}, "mine": [1]}))

    run_once(PULSE, tmp_path, TRADER_REST_URL=server.url)

    document = json.loads(path.read_text())
    assert document["wolf_to_ai"] == {"whale_status": {"dominance": 1}}
    assert document["mine"] == [1]


def test_pulse_without_a_market_decides_nothing(tmp_path: Path) -> None:
    result = run_once(PULSE, tmp_path, TRADER_REST_URL="http://127.0.0.1:9")

    assert result.returncode == 0
    assert "no market data" in result.stderr
    assert list(tmp_path.iterdir()) == []


def feedback(*, holding_seconds: int, age_s: float = 1) -> dict[str, object]:
    written = datetime.now().astimezone().replace(tzinfo=None) - timedelta(seconds=age_s)
    return {
        "status": "IN_POSITION",
        "timestamp": written.isoformat(),
        "holding_seconds": holding_seconds,
    }


def test_pulse_shows_one_whole_trade_within_a_minute() -> None:
    pulse = load_module(PULSE)
    memory, flat = pulse.Memory(), {"status": "IDLE"}

    def decide(seen: dict[str, object], now: float) -> object:
        return pulse.decide(seen, memory, now)

    assert [decide(flat, 0), decide(flat, 5), decide(flat, 10)] == ["LONG", "HOLD", "LONG"]
    assert decide(feedback(holding_seconds=4), 15) in ("LONG", "HOLD")
    assert decide(feedback(holding_seconds=14), 20) in ("LONG", "HOLD")
    assert decide(feedback(holding_seconds=15), 25) == "CUT_LOSS"
    assert decide(feedback(holding_seconds=20), 30) == "CUT_LOSS"
    assert [decide(flat, now) for now in (35, 60, 94)] == ["HOLD"] * 3
    assert {decide(flat, 95), decide(flat, 100)} == {"SHORT", "HOLD"}


def test_pulse_does_not_believe_the_feedback_of_a_dead_engine() -> None:
    pulse = load_module(PULSE)

    stale = feedback(holding_seconds=500, age_s=60)

    assert pulse.decide(stale, pulse.Memory(), 0) == "LONG"


def test_answer_of_a_language_model_becomes_a_decision(server: Server, tmp_path: Path) -> None:
    server.says = 'Sure! {"command": "short", "confidence": 72, "reasoning": "Momentum is down."}'

    result = run_once(
        ASK,
        tmp_path,
        TRADER_REST_URL=server.url,
        OPENAI_BASE_URL=f"{server.url}/v1",
        OPENAI_API_KEY="sk-test",
        MODEL="tiny",
    )

    assert (result.returncode, result.stderr) == (0, "")
    (signal,) = read(tmp_path / "ai_dragon_bridge.json")
    assert (signal.advisor, signal.command, signal.confidence) == ("dragon", Command.SHORT, 72)
    assert (signal.leverage, signal.stop_roi_pct, signal.problems) == (30, 5, ())
    assert judge(signal, now_ms=SystemClock().now_ms()).tradable
    assert server.paths[-1] == "/v1/chat/completions"
    assert server.questions[0]["model"] == "tiny"
    assert "95050.0" in json.dumps(server.questions[0]["messages"])
    assert server.keys == ["Bearer sk-test"]


@pytest.mark.parametrize(
    "says",
    [
        "",
        "I would buy.",
        '{"command": "BUY"}',
        '{"command": null}',
        '{"command": "LONG", "confidence": 400}',
        '{"command": "LONG", "confidence": "high"}',
        '{"command": "LONG", "confidence": NaN}',
        '{"command": "LONG"',
        None,
    ],
)
def test_answer_that_is_not_understood_leaves_no_decision(
    server: Server, tmp_path: Path, says: object
) -> None:
    server.says = says

    result = run_once(ASK, tmp_path, TRADER_REST_URL=server.url, OPENAI_BASE_URL=server.url)

    assert result.returncode == 0
    assert "no decision this time" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_language_model_out_of_order_leaves_no_decision(server: Server, tmp_path: Path) -> None:
    server.status = 500

    result = run_once(ASK, tmp_path, TRADER_REST_URL=server.url, OPENAI_BASE_URL=server.url)

    assert "no decision this time" in result.stderr
    assert list(tmp_path.iterdir()) == []


EXPECTED = {
    "wolf-long": [("wolf", Command.LONG)],
    "wolf-hold-raw-long": [("wolf", Command.HOLD)],
    "wolf-cut-loss": [("wolf", Command.CUT_LOSS)],
    "wolf-add-long": [("wolf", Command.ADD_LONG)],
    "wolf-legacy": [("wolf", Command.SHORT)],
    "dragon-short-stale-dragon2": [("dragon", Command.SHORT), ("dragon2", Command.LONG)],
    "dragon2-own-file": [("dragon2", Command.LONG)],
    "lion-seed": [("lion", Command.WAIT)],
    "skeleton": [("wolf", Command.WAIT)],
    "fish": [("fish", Command.SHORT)],
}


def test_every_variant_is_shown_and_explained() -> None:
    shown = {path.name for path in (EXAMPLES / "bridge").iterdir()}
    page = (EXAMPLES / "README.md").read_text()

    assert shown == set(EXPECTED)
    assert all(f"`bridge/{name}`" in page for name in shown)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_example_file_says_what_it_shows_and_is_too_old_to_trade(name: str) -> None:
    (path,) = (EXAMPLES / "bridge" / name).iterdir()

    signals = read(path)

    assert [(signal.advisor, signal.command) for signal in signals] == EXPECTED[name]
    assert [signal.problems for signal in signals] == [()] * len(signals)
    assert not any(judge(signal, now_ms=SystemClock().now_ms()).tradable for signal in signals)


def test_advisors_need_nothing_but_python_and_fit_on_a_page_or_two() -> None:
    for path in (PULSE, ASK):
        source = path.read_text()
        imports = {
            line.split()[1].split(".")[0]
            for line in source.splitlines()
            if line.startswith(("import ", "from "))
        }

        assert imports <= sys.stdlib_module_names
        assert len(source.splitlines()) < 170
