"""Settings that every test process needs before anything is imported."""

import os

# No test may look for a hub; what is loaded is made here, in the hub's own file layout.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["ENSTACK_TOY"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
