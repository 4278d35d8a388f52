"""When a scenario calls a writer busy."""

from chaos.busy import STARTED_AFTER_S, WINDOW_S, Busy

STARTED = 100.0


def looked(*cores: float) -> Busy:
    """A process that uses so many cores in each second after its start is over."""
    busy, used = Busy(STARTED), 0.0
    busy.look(STARTED, used)
    begun = STARTED + STARTED_AFTER_S
    busy.look(begun, used)
    for number, one in enumerate(cores, 1):
        used += one
        busy.look(begun + number, used)
    return busy


def test_the_busiest_window_counts_wherever_it_is() -> None:
    idle = [0.0] * 20
    assert looked(*idle, 0.5, 1.0, 1.0, 1.0, 0.5, *idle).cores == 0.8


def test_less_than_a_window_is_no_spin() -> None:
    assert looked(*[1.0] * (int(WINDOW_S) - 1)).cores == 0.0


def test_a_start_is_not_counted() -> None:
    busy = Busy(STARTED)
    for second in range(int(STARTED_AFTER_S)):
        busy.look(STARTED + second, float(second))
    for second in range(10):
        busy.look(STARTED + STARTED_AFTER_S + second, STARTED_AFTER_S)
    assert busy.cores == 0.0


def test_looks_that_come_late_are_averaged_over_the_time_between() -> None:
    busy = Busy(STARTED)
    busy.look(STARTED + 10, 0.0)
    busy.look(STARTED + 30, 10.0)
    assert busy.cores == 0.5
