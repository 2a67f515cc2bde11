"""Brackets through many seeded runs: no orphan, no naked position beyond the bound.

    python -m tests.simulations.brackets [--runs N] [--seed S] [--verbose]

Half the runs are commands by hand, half the live engine, all in this process under a virtual clock,
on the paper exchange behind transports in memory. Prints how long positions were without a stop,
by what it began with, and every run that failed with its seed; exit code 1 if one did.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--verbose", action="store_true", help="tell of every run")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    outcomes: dict[int, Outcome] = {}
    for seed in range(asked.seed, asked.seed + asked.runs):
        outcomes[seed] = asyncio.run(simulate(seed))
        if asked.verbose:
            _print("\n".join(story(seed, outcomes[seed])))
    _print("\n".join(report(outcomes)))
    _print(f"{asked.runs} runs in {time.monotonic() - began:.0f} s")
    return 1 if any(row.failures for row in outcomes.values()) else 0


def report(outcomes: dict[int, Outcome]) -> list[str]:
    """Return the distributions and the failures as lines."""
    gaps = [gap for row in outcomes.values() for gap in row.gaps]
    lines = [
        f"bound: {BOUND_MS} ms attended = {PROTECT_MS} to protect + {DETECT_MS} to find out "
        f"+ {CLOSE_MS} to close",
        "",
        _HEAD,
        _row("all, attended", gaps),
    ]
    by_path: dict[str, list[Gap]] = defaultdict(list)
    by_cause: dict[str, list[Gap]] = defaultdict(list)
    for row in outcomes.values():
        for gap in row.gaps:
            by_path[row.path].append(gap)
            by_cause[gap.cause].append(gap)
    lines += [_row(f"  {cause}", rows) for cause, rows in sorted(by_cause.items())]
    lines += [_row(path, rows) for path, rows in sorted(by_path.items())]
    runs = Counter(row.path for row in outcomes.values())
    closed = sum(gap.is_flat for gap in gaps)
    lines += [
        "",
        f"{len(gaps)} gaps, {closed} ended by the end of the position; runs: "
        + ", ".join(f"{path} {count}" for path, count in sorted(runs.items())),
    ]
    codes: Counter[int] = Counter()
    for row in outcomes.values():
        codes.update(row.codes)
    met = ", ".join(f"{code or 'no code'} ×{count}" for code, count in codes.most_common(14))
    lines.append(f"errors answered: {met}")
    failed = {seed: row for seed, row in outcomes.items() if row.failures}
    for seed, row in failed.items():
        lines += ["", *story(seed, row)]
    lines += ["", f"{len(failed)} of {len(outcomes)} runs failed"]
    return lines


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


_HEAD = (
    f"{'unprotected, ms':32}{'count':>7}{'p50':>8}{'p90':>8}{'p99':>8}{'max':>8}{'unattended':>12}"
)


def _row(name: str, gaps: Iterable[Gap]) -> str:
    rows = list(gaps)
    attended = sorted(gap.attended_ms for gap in rows)
    alone = max((gap.total_ms - gap.attended_ms for gap in rows), default=0)
    shares = [attended[min(len(attended) - 1, int(len(attended) * q))] for q in (0.5, 0.9, 0.99)]
    numbers = "".join(f"{value:>8}" for value in (*shares, attended[-1]))
    return f"{name:32}{len(rows):>7}{numbers}{alone:>12}"


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
