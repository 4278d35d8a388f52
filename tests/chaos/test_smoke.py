"""Two minutes of chaos: a few scenarios of `make chaos`, and one with its protection off."""

import pytest

from chaos.__main__ import play
from chaos.harness import chaos
from chaos.scenarios import MUTANTS, SCENARIOS, SMOKE, SMOKE_MUTANT

pytestmark = [pytest.mark.integration, pytest.mark.chaos, pytest.mark.timeout(600)]
SEED = 20_261_123
OFFSET = 10_000


def test_nothing_is_lost_or_doubled_and_a_missing_protection_is_noticed() -> None:
    chosen = [one for one in (*SCENARIOS, *MUTANTS) if one.name in (*SMOKE, SMOKE_MUTANT)]
    assert len(chosen) == len(SMOKE) + 1
    with chaos("chaos-smoke", OFFSET) as world:
        for scenario in chosen:
            result = play(world, scenario, SEED)
            assert result.passed, result
            assert result.acked > 100_000
