"""Local fencing: a partition that was lost is not ours even when it came back."""

from headrace_writer.core.ownership import Ownership


def owner(*partitions: int) -> Ownership:
    ownership = Ownership()
    ownership.assign(partitions)
    for partition in partitions:
        ownership.position[partition] = 10
    return ownership


def test_held_partitions_stay_ours() -> None:
    still = owner(0, 1).since_now()
    assert still([0, 1])


def test_a_lost_partition_is_not_ours() -> None:
    ownership = owner(0, 1)
    still = ownership.since_now()
    ownership.drop([1])
    assert still([0])
    assert not still([0, 1])


def test_a_partition_that_came_back_is_another_one() -> None:
    ownership = owner(0)
    still = ownership.since_now()
    ownership.drop([0])
    ownership.assign([0])
    assert not still([0])
    assert ownership.since_now()([0])


def test_a_partition_assigned_later_was_not_ours_before() -> None:
    ownership = owner(0)
    still = ownership.since_now()
    ownership.assign([1])
    assert not still([1])


def test_a_new_partition_has_to_be_recovered_first() -> None:
    ownership = owner(0)
    ownership.assign([2, 1])
    assert ownership.unrecovered == (1, 2)


def test_giving_a_partition_up_forgets_what_was_to_be_committed() -> None:
    ownership = owner(0, 1)
    ownership.completed.update({0: 20, 1: 30})
    ownership.drop([0])
    assert ownership.completed == {1: 30}
    assert ownership.position == {1: 10}


def test_a_stopped_partition_is_not_recovered_until_it_is_assigned_again() -> None:
    ownership = owner(0)
    ownership.forget([0])
    ownership.stopped[0] = "why"
    assert not ownership.unrecovered
    ownership.drop([0])
    ownership.assign([0])
    assert ownership.unrecovered == (0,)
