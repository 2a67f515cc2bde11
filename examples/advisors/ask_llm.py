"""An advisor that asks a language model, through any server that speaks OpenAI's chat protocol.

Every fifteen seconds it shows the model the last candles and leaves its answer where Dragon leaves
it, in `ai_to_dragon` of `ai_dragon_bridge.json` in the current folder. Settings, all optional:
OPENAI_BASE_URL (Ollama on this machine by default), OPENAI_API_KEY, MODEL. What the model says is
checked: an answer that is not understood leaves no decision at all. Standard library only.
"""

import argparse
import json
import math
import os
import sys
import time
import urllib.request
from datetime import datetime
from http.client import HTTPException
from pathlib import Path

FILE = Path("ai_dragon_bridge.json")
SYMBOL = "BTCUSDT"
MARKET = os.environ.get("TRADER_REST_URL", "https://demo-fapi.binance.com").rstrip("/")
CYCLE_S = 15.0
COMMANDS = ("LONG", "SHORT", "HOLD", "CUT_LOSS")
TASK = (
    f"You advise on {SYMBOL} perpetual futures. Answer with one JSON object and nothing else: "
    '{"command": "LONG" | "SHORT" | "HOLD" | "CUT_LOSS", "confidence": 0 to 100, '
    '"reasoning": "at most two sentences"}. HOLD keeps whatever is open. When in doubt, HOLD.'
)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--cycle", type=float, default=CYCLE_S, help="seconds, default 15")
    options.add_argument("--once", action="store_true", help="decide once and end")
    chosen = options.parse_args()
    while True:
        try:
            # The file is read after the model has answered: reading it before would put back
            # what others wrote in the seconds between.
            decision = understand(ask(describe_market(load(FILE).get("dragon_to_ai") or {})))
        except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
            print(f"no decision this time: {error}", file=sys.stderr)
        else:
            document = load(FILE)
            document["ai_to_dragon"] = decision
            document["last_updated"] = local_now()
            FILE.write_text(json.dumps(document, indent=2))
            print(f"{decision['command']} ({decision['confidence']} %): {decision['reasoning']}")
        if chosen.once:
            return
        time.sleep(chosen.cycle)


def describe_market(feedback):
    """Return what the model is shown: twenty candles and the state of our own position."""
    url = MARKET + "/fapi/v1"
    candles = fetch(f"{url}/klines?symbol={SYMBOL}&interval=1m&limit=20")
    lines = [f"open {c[1]} high {c[2]} low {c[3]} close {c[4]} volume {c[5]}" for c in candles]
    position = feedback.get("position") or "none"
    return "\n".join([*lines, f"Our position: {json.dumps(position)}"])


def ask(market):
    """Return the model's answer, as text."""
    base = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1").rstrip("/")
    question = {
        "model": os.environ.get("MODEL", "llama3.1"),
        "messages": [{"role": "system", "content": TASK}, {"role": "user", "content": market}],
        "temperature": 0.2,
        "stream": False,
    }
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}",
    }
    answer = fetch(f"{base}/chat/completions", json.dumps(question).encode(), headers)
    return answer["choices"][0]["message"]["content"]


def understand(text):
    """Return the decision in Dragon's form; ValueError if the answer is not one."""
    if not isinstance(text, str):
        raise ValueError("the model answered without a text")
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0 or end < begin:
        raise ValueError("the model answered without a JSON object")
    said = json.loads(text[begin : end + 1])
    command = str(said.get("command", "")).strip().upper()
    if command not in COMMANDS:
        raise ValueError(f"the model said {said.get('command')!r}, not one of {COMMANDS}")
    confidence = float(said.get("confidence", 50))
    if not math.isfinite(confidence) or not 0 <= confidence <= 100:
        raise ValueError(f"the model's confidence is {confidence}")
    bias = {"LONG": "BULLISH", "SHORT": "BEARISH"}
    return {
        "command": command,
        "direction": bias.get(command, "NEUTRAL"),
        "confidence": confidence,
        "reasoning": str(said.get("reasoning", ""))[:400],
        "stop_loss_pct": 5.0,  # percent of margin, as Dragon's own
        "take_profit_pct": 10.0,
        "leverage": 30,
        "timestamp": local_now(),
    }


def fetch(url, body=None, headers=None):
    request = urllib.request.Request(url, body, headers or {})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def load(path):
    """Return the document with everything that others keep in it, a fresh one if there is none."""
    for _ in range(5):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return document if isinstance(document, dict) else {}
        except FileNotFoundError:
            break
        except ValueError:  # someone is in the middle of writing it
            time.sleep(0.02)
    return {"dragon_to_ai": {"status": "IDLE"}, "feedback_loop": {"total_trades": 0}}


def local_now():
    """Return local time without a zone, as Dragon writes it; its readers expect nothing else."""
    return datetime.now().astimezone().replace(tzinfo=None).isoformat()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
