"""Settings that every test process needs before anything is imported, and the shared fixtures."""

import gc
import os

import pytest
from hypothesis import settings

# No test may look for a hub; what is loaded is made here, in the hub's own file layout.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["ENSTACK_TOY"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# What the tests hold is of the CPU: with a GPU in the machine, precision and order of sums differ.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# Tests run two at a time, and many start processes: more threads than cores wait for each other by
# spinning, which made each of them several times as slow.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is slow, so no example has a deadline. make test-slow asks for the long profile.
settings.register_profile("short", max_examples=30, deadline=None)
settings.register_profile("long", max_examples=200, deadline=None)
settings.load_profile("short")

# Before the plugins are imported: an assertion that fails in one of them shows its values then.
pytest.register_assert_rewrite("tests.support")
pytest_plugins = [
    "tests.support.micro",
    "tests.support.pipeline_runs",
    "tests.support.scans",
    "tests.support.small_pictures",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes, so that at the end no worker is waited for by the others."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """Take what importing torch and its like has made out of the collector's sight.

    Training ends with a full collection: it went through all of that each time.
    """
    gc.collect()
    gc.freeze()
