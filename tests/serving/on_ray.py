"""A simulated cluster of two nodes, one for all tests that run on Ray."""

from pathlib import Path

import psutil
import pytest

from moai.serving.cluster import importable, own_folder, ray_package

EXPERTS = "detection: {backend: nanodet, weights: 'embedded:nanodet'}\nscene_graph: geometry"
"""Quick ones, as a preset."""


@pytest.fixture(scope="session")
def cluster():
    """Ray with two nodes, to the first of which this process is connected; the second may be killed."""
    ray = ray_package("")
    from ray.cluster_utils import Cluster

    soon = {"health_check_period_ms": 500, "health_check_failure_threshold": 3, "health_check_initial_delay_ms": 0}
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": soon}
    with own_folder() as place:
        (Path(place) / "ray").mkdir()
        with importable(), pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_TMPDIR", place)
            cluster = Cluster(initialize_head=True, head_node_args=head)
            cluster.add_node(num_cpus=1)
        ray.init(cluster.address, log_to_driver=False, logging_level="CRITICAL")
        yield cluster
        ray.shutdown()
        cluster.shutdown()


def processes_of(node, name: str) -> list[psutil.Process]:
    """Processes of a node that have a name in their command line."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    return [one for one in raylet.children(recursive=True) if name in " ".join(one.cmdline())]
