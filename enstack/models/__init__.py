"""From text to tokens to probabilities: base models, hardware, loader, prediction."""

import os

# Before transformers is imported: some model types would fetch compiled code from a hub.
os.environ["USE_HUB_KERNELS"] = "NO"
