from __future__ import annotations

import torch

# Each xdist worker is a process of its own: more threads would only stand in each other's way.
torch.set_num_threads(1)
