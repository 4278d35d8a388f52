"""The simulator: what each load must end in, and policies that are known to be bad."""

from dataclasses import replace

import pytest

from headrace_writer.core.autoscaling.defaults import policy_of, writer_of
from headrace_writer.core.autoscaling.demand import Demand
from headrace_writer.core.autoscaling.fleet import Coefficients, Fleet
from headrace_writer.core.autoscaling.loads import Load, from_csv, named, steps
from headrace_writer.core.autoscaling.scaled_object import DOWN, Policy, Rules, Trigger
from headrace_writer.core.autoscaling.simulation import (
    Check,
    Moment,
    World,
    flaps,
    judge,
    least_minimum,
    simulate,
    uneven,
)
from headrace_writer.errors import ConfigError

CHART = policy_of("traces")
WRITER = writer_of("traces")
WORLD = World(WRITER)
PEAK = 10 * WRITER.rows_per_s


def verdicts(found: list[Moment], load: Load, world: World = WORLD) -> dict[str, bool]:
    return {one.name: one.held for one in judge(found, load, world)}


def most(found: list[Moment]) -> int:
    return max(one.replicas for one in found)


# --- the chart's policy


def test_a_jump_within_the_headroom_is_nothing_to_see() -> None:
    load = named("step", 10_000, 100_000)
    found = simulate(CHART, load, WORLD)
    assert all(verdicts(found, load).values())
    assert {one.replicas for one in found} == {2}


def test_a_jump_beyond_it_breaks_the_promise_until_enough_writers_are_there() -> None:
    load = named("step", PEAK / 10, PEAK)
    found = simulate(CHART, load, WORLD)
    assert verdicts(found, load) == {"lag below 10 s": False, "no flapping": True}
    assert found[-1].lag_s < 10
    least = least_minimum(CHART, load, WORLD)
    assert least is not None
    assert least > CHART.minimum
    # Twice as many within a minute, so four times as many take two.
    times = [one.at for one in found if one.replicas >= 8]
    assert times[0] - 300 >= 60


def test_a_day_is_followed_without_lag() -> None:
    load = named("diurnal", PEAK / 10, PEAK)
    found = simulate(CHART, load, WORLD)
    assert all(verdicts(found, load).values())
    assert found[0].replicas == 2
    # The threshold leaves 30 %: at the peak of ten full writers there are more than ten.
    assert 13 <= most(found) <= 16


def test_a_spike_adds_writers_once() -> None:
    load = named("spike", PEAK / 10, PEAK)
    found = simulate(CHART, load, WORLD)
    assert verdicts(found, load)["no flapping"]


def test_a_stalled_clickhouse_gets_no_writers_and_what_waited_is_caught_up() -> None:
    load = named("stall", PEAK / 10, PEAK)
    found = simulate(CHART, load, WORLD)
    assert all(verdicts(found, load).values())
    begin, end = load.stalls[0]
    at_first = found[int(begin) - 1].replicas
    assert all(one.replicas == at_first for one in found if begin <= one.at < end)
    assert most(found) > at_first, "more writers catch up afterwards"


def test_a_silent_prometheus_moves_nothing_and_the_fallback_never_takes_writers_away() -> None:
    load = steps("steady", [(1_200, PEAK)])
    world = replace(WORLD, blind=((300, 900),))
    found = simulate(CHART, load, world)
    assert {one.replicas for one in found} == {found[0].replicas}


# --- policies that others have run into


def test_a_target_of_lag_compounds_to_the_maximum_during_an_outage() -> None:
    lag = replace(CHART, trigger=Trigger("lag_seconds", 5, average=False))
    load = named("stall", PEAK / 10, PEAK)
    found = simulate(lag, load, WORLD)
    assert most(found) == CHART.maximum
    assert not verdicts(found, load)["no writers for a stalled ClickHouse"]


@pytest.mark.parametrize(("capped", "end"), [(True, 22), (False, 24)])
def test_kafkas_capped_lag_stalls_at_22_of_24(capped: bool, end: int) -> None:
    # 24 partitions over 22 replicas are a ratio of 1.09, which the tolerance takes for 1.
    kafka = replace(
        CHART,
        trigger=Trigger("messages", 840, capped=capped),
        up=Rules(0, (Policy("Pods", 4, 60),)),
    )
    load = steps("full", [(10, WRITER.rows_per_s), (3_600, 21 * WRITER.rows_per_s)])
    found = simulate(kafka, load, WORLD)
    assert found[-1].replicas == end
    assert (found[-1].lag_s > 10) == capped


def test_lag_alone_saws() -> None:
    # It is zero once everything is caught up, whatever arrives: then the writers are taken away.
    alone = replace(CHART, trigger=Trigger("messages", 20_000), down=DOWN)
    load = steps("steady", [(7_200, PEAK)])
    found = simulate(alone, load, WORLD)
    assert len(flaps(found, 600)) >= 3
    assert not verdicts(found, load)["lag below 10 s"]


def test_as_many_partitions_as_writers_saw_just_below_the_maximum() -> None:
    # 24 partitions on 20 writers: four have two, which is more than they take.
    assert uneven(CHART, WRITER) == [18, 19, 20, 21, 22, 23]
    load = steps("steady", [(5_400, 19.5 * CHART.trigger.threshold)])
    found = simulate(CHART, load, WORLD)
    assert not verdicts(found, load)["no flapping"]
    more = World(replace(WRITER, partitions=72))
    assert uneven(CHART, more.measured) == []
    found = simulate(CHART, load, more)
    assert all(verdicts(found, load, more).values())


def test_under_the_old_protocol_every_partition_stands_still_at_every_step() -> None:
    slow = replace(WRITER, moved_pause_s=8.0)
    load = Load("hill", ((0, PEAK / 10), (1_800, PEAK), (2_400, PEAK / 2)))
    kept, all_stop = (World(replace(slow, eager=eager)) for eager in (False, True))
    late = [
        sum(one.lag_s >= 10 for one in simulate(CHART, load, world)) for world in (kept, all_stop)
    ]
    assert late[1] >= late[0] > 0


# --- the parts


def test_required_rows_as_the_rules_file_tests_them() -> None:
    demand = Demand()
    # 1,000 rows/s; 4,000 in hand are no backlog, 9,000 are 5,000 too many: within five seconds.
    for at in range(0, 65, 5):
        arrived = 1_000.0 * at
        assert demand.scrape(at, arrived, arrived - 4_000, circuit_open=False) == pytest.approx(
            1_000 if at else 800
        )
    assert demand.scrape(65, 65_000, 56_000, circuit_open=False) == pytest.approx(2_000)
    # Held at the least of the last minute while ClickHouse takes nothing.
    assert demand.scrape(70, 70_000, 56_000, circuit_open=True) == pytest.approx(1_000)


def test_a_partition_that_moves_stands_still_and_the_others_do_not() -> None:
    fleet = Fleet(Coefficients(1_000, 5, 3, 1, partitions=4), replicas=1)
    fleet.step(0, 1, 400, stalled=False)
    fleet.resize(1, 2)
    for now in range(1, 6):
        fleet.step(now, 1, 400, stalled=False)
    assert (fleet.joined, fleet.stored) == (1, 2_400)
    fleet.step(6, 1, 400, stalled=False)
    assert (fleet.joined, fleet.stored) == (2, 2_600)
    assert fleet.lag_s(7) == 1 + 0
    fleet.step(7, 1, 400, stalled=False)
    assert fleet.lag_s(8) == pytest.approx(1 + 1)
    for now in range(8, 12):
        fleet.step(now, 1, 400, stalled=False)
    assert fleet.stored == pytest.approx(fleet.arrived)


def test_writers_that_still_start_leave_first() -> None:
    fleet = Fleet(Coefficients(1_000, 5, 3, 1, partitions=4), replicas=2)
    fleet.resize(0, 4)
    fleet.resize(1, 2)
    fleet.step(10, 1, 0, stalled=False)
    assert fleet.joined == 2


def test_four_writers_of_six_partitions_are_as_fast_as_three() -> None:
    stored = []
    for replicas in (3, 4, 6):
        fleet = Fleet(Coefficients(100, 5, 0, 1, partitions=6), replicas)
        for now in range(100):
            fleet.step(now, 1, 600, stalled=False)
        stored.append(min(fleet._stored))
    assert stored[0] == pytest.approx(stored[1])
    assert stored[2] > 1.9 * stored[1]


def moments(replicas: list[int]) -> list[Moment]:
    return [Moment(at * 60.0, 0, 0, count, count, 0) for at, count in enumerate(replicas)]


def test_a_flap_is_a_step_down_taken_back_soon() -> None:
    assert flaps(moments([2, 4, 3, 3, 4, 3, 2]), 600) == [240]
    assert flaps(moments([2, 4, 3, *[3] * 10, 4]), 600) == []


def test_a_load_from_a_file() -> None:
    load = from_csv("x.csv", "# Monday\n100,10\n110,20\n120,20,1\n180,20,0\n\n200,10\n")
    assert load.duration_s == 100
    assert [load.rate(at) for at in (-5, 0, 5, 10, 90, 500)] == [10, 10, 15, 20, 15, 10]
    assert list(load.stalls) == [(20.0, 80.0)]
    assert load.stalled(20)
    assert not load.stalled(80)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0,10", "two lines"),
        ("0,10\n1,x", "line 2"),
        ("0,10\n1,-3", "line 2"),
        ("5,10\n1,3", "ascend"),
        ("0\n1,3", "line 1"),
        ("0,10\nnan,3", "line 2"),
    ],
)
def test_a_file_that_is_no_load_names_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        from_csv("x.csv", text)


def test_a_verdict_says_by_how_much() -> None:
    load = named("step", PEAK / 10, PEAK)
    checks: list[Check] = judge(simulate(CHART, load, WORLD), load, WORLD)
    assert "first at 3" in checks[0].why
