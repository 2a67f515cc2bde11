"""A slice of the simulated runs: brackets by hand and by engine while everything goes wrong.

The whole of them: `python -m tests.simulations.brackets`.
"""

from __future__ import annotations

import pytest

from tests.simulations.brackets import report, simulate, story

SEEDS = (*range(1, 25), 5_666)
"""The last one: a cancel without an answer while the stop that bridges a swap gets stuck."""


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_run_ends_with_an_orphan_or_is_naked_beyond_the_bound(seed: int) -> None:
    outcome = await simulate(seed)

    assert outcome.failures == (), "\n".join(story(seed, outcome))


async def test_one_seed_is_one_run_and_is_reported() -> None:
    outcomes = {seed: await simulate(seed) for seed in (12, 13)}
    again = {seed: await simulate(seed) for seed in (12, 13)}

    assert report(again) == report(outcomes)
    assert any("per position" in line for line in report(outcomes))
