"""Settings that every test process needs before anything is imported, and the shared fixtures."""

import os

import pytest

# No test may look for a hub; what is loaded is made here, in the hub's own file layout.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["ENSTACK_TOY"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Before the plugins are imported: an assertion that fails in one of them shows its values then.
pytest.register_assert_rewrite("tests.support")
pytest_plugins = ["tests.support.micro"]
