"""What `headrace top` makes of two looks: rates, lag in seconds, and what needs a person."""

from headrace_writer.core.overview import (
    Look,
    PartitionLook,
    PartitionState,
    ReplicaLook,
    overview,
)

REPLICA = ReplicaLook(0, "a:9000", parts=40, queue=2, delay_s=1, merges=1)


def look(
    at_s: float = 1_000.0,
    partitions: dict[int, PartitionLook] | None = None,
    replicas: tuple[ReplicaLook, ...] = (REPLICA,),
    dead_letters: int = 0,
) -> Look:
    looks = partitions if partitions is not None else {0: PartitionLook(10, 10)}
    return Look(at_s, {"metrics": looks}, replicas, dead_letters)


def test_rates_are_differences_over_the_time_between() -> None:
    before = look(1_000, {0: PartitionLook(100, 90), 1: PartitionLook(50, 50)})
    now = look(1_002, {0: PartitionLook(110, 96), 1: PartitionLook(54, 50)})
    (state,) = overview(now, before).signals
    assert (state.arriving, state.committed) == (7.0, 3.0)
    assert (state.waiting, state.behind, state.partitions) == (18, 2, 2)


def test_a_partition_that_is_new_has_no_rate_yet() -> None:
    before = look(1_000, {0: PartitionLook(100, 100)})
    now = look(1_001, {0: PartitionLook(100, 100), 1: PartitionLook(900, 0)})
    assert overview(now, before).signals[0].arriving == 0.0
    assert overview(now).signals[0].arriving is None


def test_lag_is_the_age_of_the_oldest_message() -> None:
    looks = {
        0: PartitionLook(9, 5, 996_500),
        1: PartitionLook(9, 5, 998_000),
        2: PartitionLook(1, 1),
    }
    found = overview(look(1_000, looks))
    assert found.signals[0].lag_s == 3.5
    assert found.healthy


def test_metrics_beyond_ten_seconds_need_a_look() -> None:
    found = overview(look(1_000, {0: PartitionLook(9, 5, 989_000)}))
    assert found.problems == ("metrics: 11.0 s behind, 10 s promised",)


def test_a_group_that_stands_still_is_named() -> None:
    waiting = {0: PartitionLook(9, 5, 900_000)}
    found = overview(look(1_000, waiting), look(998, waiting))
    assert any("no writer moves" in one for one in found.problems)


def test_each_trouble_of_a_replica_is_said_with_its_name() -> None:
    for replica, said in (
        (ReplicaLook(1, "b:9000", silent="no answer"), "b:9000 (shard 2) does not answer"),
        (ReplicaLook(1, "b:9000", readonly=3), "3 tables are read-only"),
        (ReplicaLook(1, "b:9000", parts=300), "300 parts in one partition"),
        (ReplicaLook(1, "b:9000", queue=100), "100 replication tasks wait"),
        (ReplicaLook(1, "b:9000", delay_s=11), "lags its shard by 11 s"),
    ):
        (problem,) = overview(look(replicas=(REPLICA, replica))).problems
        assert said in problem


def test_dead_letters_need_a_look() -> None:
    assert overview(look(dead_letters=2)).problems == ("2 dead letters (headrace dlq list)",)


def test_each_partition_is_told() -> None:
    found = overview(look(1_000, {1: PartitionLook(9, 5, 996_500), 0: PartitionLook(7, 7)}))
    assert found.signals[0].by_partition == (
        PartitionState(0, 0, 0.0, 7, 7),
        PartitionState(1, 4, 3.5, 5, 9),
    )
