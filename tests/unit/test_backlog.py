"""When messages become a batch, and in which order."""

from headrace_writer.core.backlog import Backlog, BatchLimits, Message

LIMITS = BatchLimits(max_bytes=100, max_age_s=2.0, max_backlog_bytes=200)


def message(partition: int, offset: int, size: int = 10) -> Message:
    return Message(partition, offset, 1_000 + offset, None, b"x" * size)


def test_an_empty_backlog_never_closes_a_batch() -> None:
    assert Backlog(LIMITS).closes(1e9) is None


def test_a_batch_closes_on_age_of_its_oldest_message() -> None:
    backlog = Backlog(LIMITS)
    backlog.add([message(0, 1)], now=10.0)
    backlog.add([message(0, 2)], now=11.9)
    assert backlog.closes(11.99) is None
    assert backlog.closes(12.0) == "age"


def test_a_batch_closes_on_bytes_before_its_age() -> None:
    backlog = Backlog(LIMITS)
    backlog.add([message(0, i) for i in range(10)], now=10.0)
    assert backlog.closes(10.0) == "bytes"


def test_a_cut_takes_the_oldest_up_to_the_limit_and_leaves_the_rest() -> None:
    backlog = Backlog(LIMITS)
    backlog.add([message(1, 1, 60), message(0, 7, 30), message(1, 2, 20)], now=0.0)
    assert [m[:2] for m in backlog.cut()] == [(0, 7), (1, 1)]
    assert [m[:2] for m in backlog.cut()] == [(1, 2)]
    assert backlog.nbytes == 0


def test_one_message_above_the_limit_is_a_batch_of_its_own() -> None:
    backlog = Backlog(LIMITS)
    backlog.add([message(0, 1, 500), message(0, 2)], now=0.0)
    assert [m.offset for m in backlog.cut()] == [1]


def test_the_order_of_a_batch_does_not_depend_on_arrival() -> None:
    one, other = Backlog(LIMITS), Backlog(LIMITS)
    one.add([message(0, 1), message(1, 5), message(0, 2)], now=0.0)
    other.add([message(1, 5), message(0, 1), message(0, 2)], now=0.0)
    assert one.cut() == other.cut()


def test_what_is_put_back_comes_first_again() -> None:
    backlog = Backlog(LIMITS)
    backlog.add([message(0, 1), message(0, 2), message(0, 3)], now=0.0)
    batch = backlog.cut()
    backlog.add([message(0, 4)], now=1.0)
    backlog.put_back(batch[1:], now=1.0)
    assert [m.offset for m in backlog.cut()] == [2, 3, 4]


def test_dropping_a_partition_forgets_only_its_messages() -> None:
    backlog = Backlog(LIMITS)
    backlog.add([message(0, 1), message(1, 1, 30), message(0, 2)], now=0.0)
    backlog.drop([0])
    assert backlog.nbytes == 30
    assert [m[:2] for m in backlog.cut()] == [(1, 1)]


def test_fetching_pauses_when_full_and_resumes_at_half() -> None:
    backlog = Backlog(LIMITS)
    backlog.add([message(0, i, 50) for i in range(4)], now=0.0)
    assert (backlog.full, backlog.drained_enough) == (True, False)
    backlog.cut()
    assert (backlog.full, backlog.drained_enough) == (False, True)


def test_the_oldest_timestamp_is_known_per_partition() -> None:
    backlog = Backlog(LIMITS)
    backlog.add([message(0, 5), message(0, 6), message(1, 1)], now=0.0)
    assert backlog.oldest() == {0: 1_005, 1: 1_001}
