"""An advisor for trying things out: it shows one whole trade within a minute, and has no edge.

It decides every five seconds and leaves its decisions where Wolf leaves them, in the section
`ai_to_wolf` of `ai_wolf_bridge.json` in the current folder, with the same fields and the same
rhythm: a command to act shows for one cycle, HOLD for the next. First it wants in; once
`wolf_to_ai` says that a position is open it waits, cuts it, and rests. Prices come from the
exchange at TRADER_REST_URL. Standard library only; copy it and put your own idea into `decide`.
"""

import argparse
import json
import os
import sys
import time
import urllib.request
from datetime import datetime
from http.client import HTTPException
from pathlib import Path

FILE = Path("ai_wolf_bridge.json")
SYMBOL = "BTCUSDT"
MARKET = os.environ.get("TRADER_REST_URL", "https://demo-fapi.binance.com").rstrip("/")
CYCLE_S = 5.0
HOLD_FOR_S = 15  # in position this long: cut it, so that a minute shows the exit too
FEEDBACK_AGE_S_MAX = 10
REST_FOR_S = 60  # flat again: leave it at that for a while


class Memory:
    """What has to survive from one cycle to the next."""

    def __init__(self):
        self.direction = "LONG"
        self.acted_last_cycle = False
        self.was_in_position = False
        self.rest_until = 0.0


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--cycle", type=float, default=CYCLE_S, help="seconds, default 5")
    options.add_argument("--once", action="store_true", help="decide once and end")
    chosen, memory = options.parse_args(), Memory()
    while True:
        try:
            price, change_pct = look_at_market()
        except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
            print(f"no market data, no decision: {error}", file=sys.stderr)
        else:
            # Read after the market, written at once: what others write in between would be lost.
            document = load(FILE)
            command = decide(document.get("wolf_to_ai") or {}, memory, time.monotonic())
            document["ai_to_wolf"] = section(command, memory.direction, price, change_pct)
            document["last_updated"] = local_now().isoformat()
            save(FILE, document)
            print(f"{command} at {price}")
        if chosen.once:
            return
        time.sleep(chosen.cycle)


def decide(feedback, memory, now):
    """Return the command for this cycle. This is where an idea of your own goes."""
    in_position = feedback.get("status") == "IN_POSITION" and is_recent(feedback)
    if memory.was_in_position and not in_position:
        memory.rest_until = now + REST_FOR_S
        memory.direction = "SHORT" if memory.direction == "LONG" else "LONG"
    memory.was_in_position = in_position
    if in_position and feedback.get("holding_seconds", 0) >= HOLD_FOR_S:
        return "CUT_LOSS"
    if now < memory.rest_until:
        return "HOLD"
    memory.acted_last_cycle = not memory.acted_last_cycle
    return memory.direction if memory.acted_last_cycle else "HOLD"


def is_recent(feedback):
    """Return True if an engine wrote this in the last ten seconds, not a dead one long ago."""
    try:
        written = datetime.fromisoformat(feedback.get("timestamp") or "")
        return abs((local_now() - written).total_seconds()) < FEEDBACK_AGE_S_MAX
    except (TypeError, ValueError):
        return False


def look_at_market():
    """Return the price between bid and ask, and its change in percent over fifteen minutes."""
    url = MARKET + "/fapi/v1"
    top = fetch(f"{url}/ticker/bookTicker?symbol={SYMBOL}")
    price = (float(top["bidPrice"]) + float(top["askPrice"])) / 2
    candles = fetch(f"{url}/klines?symbol={SYMBOL}&interval=1m&limit=15")
    opened = float(candles[0][1])
    return round(price, 2), round((price / opened - 1) * 100, 3)


def fetch(url):
    with urllib.request.urlopen(url, timeout=4) as answer:
        return json.load(answer)


def section(command, direction, price, change_pct):
    """Return a decision with every field that Wolf writes and the engine reads."""
    parameters = {
        "leverage": 125,
        "take_profit_pct": 9.0,  # percent of margin: at 20x this is 0.45 % of the price
        "stop_loss_pct": 3.5,
        "position_size_pct": 95,
        "trailing_activation": 8.0,
        "trailing_distance": 1.5,
        "entry_strategy": "LIMIT",
        "limit_offset_bps": 0,
        "max_holding_minutes": 30,
    }
    flat = ("leverage", "take_profit_pct", "stop_loss_pct", "trailing_activation")
    return {
        "command": command,
        "raw_command": "CUT_LOSS" if command == "CUT_LOSS" else direction,
        "direction": "BULLISH" if direction == "LONG" else "BEARISH",
        "confidence": 80,
        "whale_reversal_price": 0,
        **{name: parameters[name] for name in (*flat, "trailing_distance")},
        "reasoning": f"Pulse: {SYMBOL} at {price}, {change_pct:+.3f} % in 15 minutes.",
        "timestamp": local_now().isoformat(),
        "dynamic_params": parameters,
    }


def load(path):
    """Return the document with everything that others keep in it, a fresh one if there is none."""
    for _ in range(5):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return document if isinstance(document, dict) else fresh()
        except FileNotFoundError:
            return fresh()
        except ValueError:  # someone is in the middle of writing it
            time.sleep(0.02)
    return fresh()


def fresh():
    return {"wolf_to_ai": {"status": "IDLE"}, "feedback_loop": {"total_trades": 0}}


def save(path, document):
    """Rewrite the file in place, as Wolf does; engines have to live with that."""
    with path.open("w") as file:
        json.dump(document, file, indent=2)


def local_now():
    """Return local time without a zone, as Wolf writes it; its readers expect nothing else."""
    return datetime.now().astimezone().replace(tzinfo=None)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
