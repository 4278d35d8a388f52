"""One short fault of `make alerts-fault-run`: the alert of a gateway fires, ends, and no other."""

from pathlib import Path

import pytest

from alerts.runs import FAULTS, play, purge, watched
from support.cluster import Cluster

pytestmark = pytest.mark.integration
SCALE = 15.0


def test_a_stopped_gateway_is_reported_until_it_is_back(cluster: Cluster, tmp_path: Path) -> None:
    [fault] = [one for one in FAULTS if one.name == "a gateway stops"]
    # What other tests left behind would be reported for as long as it is there, or was new.
    purge(cluster)
    with watched(cluster, tmp_path, SCALE) as watch:
        result = play(cluster, watch, fault, patience_s=100)
    assert result.problems == []
    assert 60 / SCALE <= result.fired["HeadraceGatewayDown"] < 60
