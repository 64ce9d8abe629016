"""Where a step's time goes: kernels, operations on the host, and how long the GPU has none."""

from __future__ import annotations

from typing import Any

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from enstack.rounding import percent

ROWS = 15


def both_sides() -> profile:
    """A profiler of the host and of the GPU, not yet started."""
    return profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])


def text_of(profiler: profile, title: str) -> str:
    """The largest kernels and operations that it saw, and the GPU's idle share."""
    averages = profiler.key_averages()
    tables = (
        averages.table(sort_by=by, row_limit=ROWS, max_name_column_width=70)
        for by in ("self_cuda_time_total", "self_cpu_time_total")
    )
    return "\n".join([f"== {title}", idle_line(profiler.events()), *tables, ""])


def idle_line(events: Any) -> str:
    """Between the first kernel and the last one, the share of time in which none ran."""
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in events
        if event.device_type == DeviceType.CUDA and not getattr(event, "is_user_annotation", False)
    )
    if not spans:
        return "No kernel ran on a GPU."
    busy, reached = 0.0, spans[0][0]
    for start, end in spans:
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    whole = reached - spans[0][0]
    return (
        f"GPU idle for {percent(1 - busy / whole)} of {whole / 1e3:.0f} ms; {len(spans):,} kernels"
    )
