"""Brackets through many seeded runs: no orphan, no naked position beyond the bound.

    python -m tests.simulations.brackets [--runs N] [--seed S] [--workers N] [--verbose]

Half the runs are commands by hand, half the live engine, all in this process under a virtual clock,
on the paper exchange behind transports in memory. Prints how long positions were without a stop,
by what it began with, and every run that failed with its seed; exit code 1 if one did.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random

from tests.simulations.engine import ByEngine
from tests.simulations.hand import ByHand
from tests.simulations.run import BOUND_MS, CLOSE_MS, DETECT_MS, PROTECT_MS, Outcome
from tests.simulations.watch import Gap


async def simulate(seed: int) -> Outcome:
    """Return what comes of one seed: even ones are traded by hand, odd ones by the engine."""
    chance = Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        trader = ByHand(Path(folder), chance) if seed % 2 == 0 else ByEngine(Path(folder), chance)
        try:
            return await trader.run()
        finally:
            await trader.close()


def run(seed: int) -> Outcome:
    """Return what comes of one seed, from outside any event loop."""
    return asyncio.run(simulate(seed))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--verbose", action="store_true", help="tell of every run")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    outcomes: dict[int, Outcome] = {}
    seeds = range(asked.seed, asked.seed + asked.runs)
    with ProcessPoolExecutor(asked.workers) as workers:
        for seed, outcome in zip(seeds, workers.map(run, seeds, chunksize=4), strict=True):
            outcomes[seed] = outcome
            if asked.verbose:
                _print("\n".join(story(seed, outcome)))
    _print("\n".join(report(outcomes)))
    _print(f"{asked.runs} runs in {time.monotonic() - began:.0f} s")
    return 1 if any(row.failures for row in outcomes.values()) else 0


def report(outcomes: dict[int, Outcome]) -> list[str]:
    """Return the distributions and the failures as lines."""
    runs: dict[str, list[Outcome]] = defaultdict(list)
    causes: dict[str, list[Gap]] = defaultdict(list)
    codes: Counter[int] = Counter()
    for outcome in outcomes.values():
        runs[outcome.path].append(outcome)
        codes.update(outcome.codes)
        for gap in outcome.gaps:
            causes[gap.cause].append(gap)
    gaps = [gap for rows in causes.values() for gap in rows]
    lives = [life for row in outcomes.values() for life in row.lives]
    lines = [
        f"bound: {BOUND_MS} ms attended = {PROTECT_MS} to protect + {DETECT_MS} to find out "
        f"+ {CLOSE_MS} to close",
        "",
        f"{'unprotected, ms':32}{'count':>7}{'p50':>8}{'p90':>8}{'p99':>8}{'max':>8}",
        _row("per position", lives),
    ]
    lines += [
        _row(f"  {path} ({len(rows)} runs)", [life for row in rows for life in row.lives])
        for path, rows in sorted(runs.items())
    ]
    lines.append(_row("per gap, attended", [gap.attended_ms for gap in gaps]))
    lines += [
        _row(f"  {cause}", [gap.attended_ms for gap in rows])
        for cause, rows in sorted(causes.items())
    ]
    alone = [gap.total_ms - gap.attended_ms for gap in gaps if gap.total_ms > gap.attended_ms]
    lines.append(_row("while nobody was there", alone))
    closed = sum(gap.is_flat for gap in gaps)
    met = ", ".join(f"{code or 'no code'} ×{count}" for code, count in codes.most_common(16))
    lines += [
        "",
        f"{len(lives)} positions, {sum(life == 0 for life in lives)} never without a stop; "
        f"{closed} of {len(gaps)} gaps ended with the position",
        f"errors answered: {met}",
    ]
    failed = {seed: row for seed, row in outcomes.items() if row.failures}
    for seed, row in failed.items():
        lines += ["", *story(seed, row)]
    return [*lines, "", f"{len(failed)} of {len(outcomes)} runs failed"]


def story(seed: int, row: Outcome) -> list[str]:
    """Return one run as lines."""
    mode = "hedge" if row.hedge else "one-way"
    return [
        f"seed {seed}: {row.path}, {mode}; {', '.join(row.troubles) or 'no trouble'}",
        *(f"    FAILED {line}" for line in row.failures),
        *(
            f"    {gap.cause}: {gap.attended_ms} of {gap.total_ms} ms attended"
            for gap in row.gaps
            if gap.total_ms
        ),
        *(f"    {line}" for line in row.said),
    ]


def _row(name: str, values: Iterable[int]) -> str:
    rows = sorted(values) or [0]
    shares = [rows[min(len(rows) - 1, int(len(rows) * share))] for share in (0.5, 0.9, 0.99)]
    return f"{name:32}{len(rows):>7}" + "".join(f"{value:>8}" for value in (*shares, rows[-1]))


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
