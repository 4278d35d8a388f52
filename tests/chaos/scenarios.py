"""Every scenario: what happens, and how soon the lag must be small again."""

import os
import signal
import time

from chaos import faults
from chaos.fleet import SIGNALS
from chaos.harness import Chaos, Load, Scenario

LONG = Load(seconds=26)
SESSION_S = 6.0
"""deploy/native/cluster.toml's session_timeout_ms."""


def nothing(chaos: Chaos) -> None:
    """Only the load, and writers that die at their fault point."""
    chaos.pause(4)


def second_writers(chaos: Chaos) -> None:
    """Every writer gives half of its partitions to another."""
    for name in SIGNALS:
        chaos.fleet.scale(name, 2)
    chaos.pause(4)


def kill_writers(chaos: Chaos) -> None:
    for _ in range(3):
        for name in SIGNALS:
            chaos.kill_writer(name)
        chaos.pause(3)


def zombie(chaos: Chaos) -> None:
    """A writer freezes for longer than its session, another takes over, and it wakes again."""
    for name in SIGNALS:
        chaos.fleet.scale(name, 2)
    chaos.fleet.wait_ready()
    pids = [chaos.fleet.of(name)[0].pid for name in SIGNALS]
    chaos.mark("each signal's oldest writer freezes")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(SESSION_S + 4 + chaos.rng.uniform(0, 2))
    chaos.mark("the frozen writers wake")
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def rolling_restart(chaos: Chaos) -> None:
    for name in SIGNALS:
        chaos.fleet.scale(name, 2)
    chaos.fleet.wait_ready()
    for name in SIGNALS:
        for writer in chaos.fleet.of(name):
            chaos.mark(f"SIGTERM to writer {writer.name}")
            os.kill(writer.pid, signal.SIGTERM)
            time.sleep(1.5)
            chaos.fleet.wait_ready()


def rebalance_storm(chaos: Chaos) -> None:
    for _ in range(4):
        for name in SIGNALS:
            chaos.fleet.scale(name, chaos.rng.choice([2, 3]))
        chaos.pause(1.5)
        for name in SIGNALS:
            chaos.fleet.scale(name, 1)
        chaos.pause(1.0)


def scale(chaos: Chaos) -> None:
    chaos.fleet.scale("traces", 4)
    chaos.pause(7)
    chaos.fleet.scale("traces", 2)
    chaos.pause(4)


def reset_groups(chaos: Chaos) -> None:
    with chaos.fleet.stopped():
        for topic, name in zip(faults.TOPICS, SIGNALS, strict=True):
            faults.reset_group(chaos, topic, f"headrace-{name}")


def kill_replica(chaos: Chaos) -> None:
    chaos.kill(chaos.replica(chaos.rng.randint(1, 2), chaos.rng.randint(1, 2)))
    chaos.pause(2)
    chaos.kill(chaos.replica(chaos.rng.randint(1, 2), chaos.rng.randint(1, 2)))


def kill_shard(chaos: Chaos) -> None:
    shard = chaos.rng.randint(1, 2)
    control = chaos.cluster.control
    chaos.mark(f"kill -9 both replicas of shard {shard}")
    killed = {chaos.replica(shard, n): control.kill(chaos.replica(shard, n)) for n in (1, 2)}
    for name, pid in killed.items():
        control.wait_restarted(name, pid, 90)


def freeze_shard(chaos: Chaos) -> None:
    """For longer than a batch's age and an insert's patience together: every writer has planned
    what it cannot insert. Killed then, each finds its plan and counts before it inserts."""
    shard = chaos.rng.randint(1, 2)
    chaos.fleet.lives_with_fault = 2
    with chaos.frozen(chaos.replica(shard, 1)), chaos.frozen(chaos.replica(shard, 2)):
        time.sleep(9)
        for name in SIGNALS:
            chaos.kill_writer(name)
        time.sleep(9)


def replica_away(chaos: Chaos) -> None:
    name = chaos.replica(chaos.rng.randint(1, 2), chaos.rng.randint(1, 2))
    chaos.mark(f"{name} stops")
    chaos.cluster.control.stop(name)
    chaos.pause(8)
    chaos.mark(f"{name} starts again")
    chaos.cluster.control.start(name)


def kill_zookeeper(chaos: Chaos) -> None:
    chaos.kill("zookeeper")
    chaos.pause(3)


def kill_broker(chaos: Chaos) -> None:
    chaos.kill("kafka-1")
    chaos.pause(3)


def kill_one_of_three(chaos: Chaos) -> None:
    chaos.kill(f"kafka-{chaos.rng.randint(1, 3)}")
    chaos.pause(3)
    chaos.kill(f"kafka-{chaos.rng.randint(1, 3)}")


def half_open_broker(chaos: Chaos) -> None:
    """Others lead its partitions after a while, and it tells nobody: all have to find that out."""
    with chaos.frozen(f"kafka-{chaos.rng.randint(1, 3)}"):
        time.sleep(14)
        chaos.fleet.wait_ends_known(8)


def half_open(chaos: Chaos) -> None:
    name = chaos.replica(chaos.rng.randint(1, 2), chaos.rng.randint(1, 2))
    with chaos.frozen(name):
        time.sleep(14)


def full_disk(chaos: Chaos) -> None:
    with faults.full_disk(chaos, chaos.replica(chaos.rng.randint(1, 2), chaos.rng.randint(1, 2))):
        chaos.pause(8)


def slow_clickhouse(chaos: Chaos) -> None:
    faults.slow(chaos, [chaos.replica(s, n) for s in (1, 2) for n in (1, 2)], 12)


def kill_gateways(chaos: Chaos) -> None:
    chaos.kill("gateway-1")
    chaos.pause(2)
    chaos.kill("gateway-2")


def kill_balancer(chaos: Chaos) -> None:
    chaos.kill("haproxy")
    chaos.pause(3)


def poison(chaos: Chaos) -> None:
    before = faults.dead_letters(chaos)
    sent = faults.poison(chaos, 10) + faults.too_large(chaos)
    faults.oversized(chaos)
    deadline = time.monotonic() + 30
    while (missing := sent - faults.dead_letters(chaos) + before) > 0:
        if time.monotonic() > deadline:
            chaos.letters_missing = missing
            return
        time.sleep(0.5)


def poison_and_kills(chaos: Chaos) -> None:
    for _ in range(3):
        faults.poison(chaos, 5)
        chaos.pause(1)
        for name in SIGNALS:
            chaos.kill_writer(name)
        chaos.pause(2)


def clock_jumps(chaos: Chaos) -> None:
    faults.clock_jumps(chaos)
    chaos.pause(2)


def migration(chaos: Chaos) -> None:
    faults.change_tables(chaos)
    chaos.pause(2)


def everything(chaos: Chaos) -> None:
    """Random faults on top of each other, as the seed has them."""
    rng = chaos.rng
    for _ in range(6):
        match rng.randrange(6):
            case 0:
                chaos.kill_writer(rng.choice(SIGNALS))
            case 1:
                chaos.kill(chaos.replica(rng.randint(1, 2), rng.randint(1, 2)))
            case 2:
                chaos.kill("gateway-1")
            case 3:
                chaos.fleet.scale("traces", rng.randint(1, 3))
            case 4:
                faults.poison(chaos, 2)
            case 5:
                chaos.kill("haproxy")
        chaos.pause(2)


# Each step of the protocol; the number is how often the point is passed before the end.
FAULT_POINTS = (
    "plan.before:2",
    "plan.after:2",
    # Passed where nothing follows: partitions are given up.
    "settle.after:1",
    "build.after:2",
    "insert.before:3",
    "block.after:3",
    "insert.after:2",
    "count.before:1",
    "count.after:1",
    "deadletter.before:1",
    "deadletter.after:1",
    "ledger.before:2",
    "ledger.after:2",
)


def at_point(point: str) -> Scenario:
    """Every writer dies when it passes the point: `<step>.<before or after>:<how often>`."""
    name, short = f"kill at {point.partition(':')[0]}", Load(seconds=10)
    match point.partition(".")[0]:
        case "count":
            # A count comes where a plan is found: they die only after the shard is back.
            return Scenario(name, freeze_shard, 60, load=LONG, fault_point=point)
        case "settle":
            return Scenario(name, second_writers, load=Load(seconds=15), fault_point=point)
        case "deadletter":
            return Scenario(name, poison, load=Load(seconds=15), fault_point=point)
        case _:
            return Scenario(name, nothing, load=short, fault_point=point)


AT_POINTS = tuple(at_point(point) for point in FAULT_POINTS)
CLASSIC = {"HEADRACE_KAFKA_GROUP_PROTOCOL": "classic"}

SCENARIOS = (
    *AT_POINTS,
    Scenario("kill writers at random", kill_writers),
    Scenario("zombie writers", zombie, load=LONG),
    Scenario("zombie writers, classic groups", zombie, load=LONG, settings=CLASSIC),
    Scenario("rolling restart", rolling_restart, load=LONG),
    Scenario("rebalance storm", rebalance_storm, load=Load(seconds=18)),
    Scenario(
        "rebalance storm, classic groups", rebalance_storm, load=Load(seconds=18), settings=CLASSIC
    ),
    Scenario("scale 1 to 4 to 2", scale, load=Load(seconds=20)),
    Scenario("reset groups", reset_groups),
    Scenario("kill one replica", kill_replica),
    Scenario("kill a whole shard", kill_shard),
    Scenario("a replica away", replica_away, load=Load(seconds=18)),
    Scenario("kill ZooKeeper", kill_zookeeper, recovers_within_s=60, load=LONG),
    Scenario("kill the broker", kill_broker, recovers_within_s=60, load=LONG),
    Scenario("half-open replica", half_open, load=LONG),
    Scenario("full disk", full_disk, load=LONG),
    Scenario("slow ClickHouse", slow_clickhouse, load=LONG, recovers_within_s=60),
    Scenario("kill gateways", kill_gateways),
    Scenario("kill the balancer", kill_balancer),
    Scenario("poison and oversized", poison),
    Scenario("poison under kills", poison_and_kills),
    Scenario("clock jumps in data", clock_jumps),
    Scenario("tables change under load", migration),
    Scenario("faults on faults", everything, load=Load(seconds=30), recovers_within_s=60),
    Scenario("kill one of three brokers", kill_one_of_three, load=LONG, brokers=3),
    Scenario("half-open broker", half_open_broker, load=Load(seconds=32), brokers=3),
)

# With a protection switched off, its scenario must fail: otherwise it proves nothing. Killing a
# writer before its plan is committed needs no protection but the order, which `commit_first` turns;
# a kill at the count is survived because of the plan, too (`no_plan` at the points around it).
SWITCHED_OFF = {
    "settle.after:1": "commit_first",
    "build.after:2": "commit_first",
    "insert.before:2": "commit_first",
    "block.after:3": "no_plan",
    "insert.after:2": "no_plan",
    "ledger.before:2": "no_plan",
    "ledger.after:2": "no_plan_no_ledger",
}
MUTANTS = (
    *(
        Scenario(
            f"{mutation}: kill at {point.partition(':')[0]}",
            nothing,
            load=Load(seconds=10),
            fault_point=point,
            mutation=mutation,
        )
        for point, mutation in SWITCHED_OFF.items()
    ),
    Scenario("no_ledger_lookup: reset groups", reset_groups, mutation="no_ledger_lookup"),
    Scenario("no_dead_letters: poison", poison, mutation="no_dead_letters"),
)

SMOKE = ("kill at block.after", "kill one replica", "poison under kills")
SMOKE_MUTANT = "no_plan: kill at insert.after"
