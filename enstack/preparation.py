"""All of a run that needs no GPU, done before: data, tokens, folds, and what training will cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from enstack.config import RunConfig, base_model_names
from enstack.counting import counted
from enstack.data.packed_caches import MIB, pack_caches
from enstack.inputs import base_model, require_configuration
from enstack.models.flops import shape_of
from enstack.pipeline import begin_run
from enstack.planning.estimate import PEAKS, UTILISATION, gpu_hours
from enstack.progress.say import duration
from enstack.progress.stopping import ended_by_signals
from enstack.rounding import percent
from enstack.run_folder import RunFolder
from enstack.run_place import own_run_folder
from enstack.storage.caches import holding_caches

if TYPE_CHECKING:
    from enstack.data.functions import VulnerabilityData
    from enstack.models.base_models import BaseModel

__all__ = ["ModelCost", "Prepared", "prepare"]


@dataclass(frozen=True)
class ModelCost:
    """What a base model's training will take from here on, its folds included.

    functions: to be trained on, over all epochs; padded_tokens: of those, with padding; truncated:
    share of train functions that are cut; gpu_hours: computed by GPU, not measured.
    """

    name: str
    functions: int
    padded_tokens: int
    truncated: float
    gpu_hours: dict[str, float]


@dataclass(frozen=True)
class Prepared:
    """What was prepared: where it lies, its bytes, and what is left for a GPU."""

    folder: Path
    bytes: int
    models: list[ModelCost]

    def text(self) -> str:
        """Lines for a console."""
        total = {gpu: sum(one.gpu_hours[gpu] for one in self.models) for gpu in PEAKS}
        return "\n".join(
            [
                f"📦 Prepared in {self.folder}: {self.bytes / MIB:,.1f} MiB.",
                "   Run the same configuration on the machine with the GPU: it trains at once.",
                *(_line(one) for one in self.models),
                f"⏱️  All of it: {_on_gpus(total)},",
                f"   computed for {percent(UTILISATION, 0)} of each GPU's peak, not measured; a "
                "run with session_hours measures.",
            ]
        )


def _line(one: ModelCost) -> str:
    return (
        f"   - {one.name}: {one.padded_tokens:,} tokens with padding in "
        f"{counted(one.functions, 'function')} of all epochs; {percent(one.truncated, 1)} of train "
        "are cut."
    )


def _on_gpus(hours: dict[str, float]) -> str:
    return ", ".join(f"{gpu} {duration(3600 * of_gpu)}" for gpu, of_gpu in hours.items())


@ended_by_signals()
@holding_caches()
def prepare(config: RunConfig) -> Prepared:
    """Read the data, divide it, tokenize it for every base model, and pack that into run_dir.

    A run of this configuration brings it to its own disk and trains its first batch at once. Trains
    nothing. Raises what a run would for data, settings and places.
    """
    require_configuration(config)
    with own_run_folder(config) as run:
        config, data, _ = begin_run(config, run)
        named = zip(base_model_names(config.base_models), config.base_models, strict=True)
        models = [base_model(name, asked, config) for name, asked in named]
        costs = [_cost(model, data, config, run) for model in models]
        size = pack_caches(Path(config.local_dir), run.prepared)
        return Prepared(run.prepared, size, costs)


def _cost(
    model: BaseModel, data: VulnerabilityData, config: RunConfig, run: RunFolder
) -> ModelCost:
    """Tokenize the splits, whose caches are held then, and reckon what they will take."""
    # Here: torch takes seconds to load, and what is refused before needs none of it.
    from enstack.models.base_models import load_tokenizer, require_length
    from enstack.training.epoch_time import encoder_of
    from enstack.training.run_time import batch_widths, epochs_left, work_left
    from enstack.training.stage import tokenize_splits

    require_length(model, config.max_length)
    train = tokenize_splits(model, load_tokenizer(model), data, config)["train"]
    work = work_left(data, config, *epochs_left(run.base_model(model.name), config))
    width = float(batch_widths(train.lengths, config.batch_size).mean())
    padded = round(work.trained * width)
    hours = gpu_hours(
        shape_of(encoder_of(model)),
        width=width,
        trained_tokens=padded,
        predicted_tokens=work.predicted * width,
    )
    share = train.tokens.n_truncated / len(train)
    return ModelCost(model.name, work.trained, padded, share, hours)
