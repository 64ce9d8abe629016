"""RunConfig: all settings checked together, and what follows from them; configure for notebooks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr, ValidationError, model_validator

from enstack.config.defaults import PAPER_LEARNING_RATE
from enstack.config.faults import explain
from enstack.config.label_modes import label_mode_fault
from enstack.config.names import base_model_names, scratch_dir
from enstack.config.settings import Settings
from enstack.config.swa import asks_for_swa, warn_of_swa
from enstack.config.values import lower_keys, seeds_given
from enstack.console import put
from enstack.errors import ConfigError

# What the lines of an announcement name by themselves.
TOLD_BY_LINES = (
    *("epochs", "batch_size", "use_swa", "save_steps", "resume"),
    *("data_dir", "label_mode", "base_models", "run_dir", "learning_rate"),
)


class RunConfig(Settings):
    """Every setting of a run, validated and frozen; faults are one ConfigError that lists all."""

    # Whether use_swa was asked for, so that a run warns once.
    _swa_was_forced_off: bool = PrivateAttr(default=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(explain(error, type(self).model_fields)) from None
        # As given: the checked field says False by now, whatever was asked for.
        asked = [value for key, value in values.items() if key.lower() == "use_swa"]
        self._swa_was_forced_off = any(asks_for_swa(value) for value in asked)
        if self._swa_was_forced_off:
            warn_of_swa()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).model_fields:
            raise ConfigError(
                f"A configuration is frozen: {name} can't be changed in it. Make another, such as "
                f"configure({name.upper()}=...)."
            )
        super().__setattr__(name, value)

    @property
    def swa_was_forced_off(self) -> bool:
        """Whether averaging was asked for, and the warning of it given."""
        return self._swa_was_forced_off

    @model_validator(mode="before")
    @classmethod
    def _lower_keys(cls, values: Any) -> Any:
        """Accept the notebook's UPPER_CASE keys; the first of several seeds is the run's own."""
        lowered = lower_keys(values)
        seeds = seeds_given(lowered.get("seeds"))
        if isinstance(seeds, list | tuple) and seeds and "seed" not in lowered:
            lowered["seed"] = seeds[0]
        return lowered

    @model_validator(mode="after")
    def _cross_checks(self) -> RunConfig:
        if self.resume_from and not self.resume:
            raise ValueError("resume_from goes on from a checkpoint, so resume must be true")
        if self.seeds != "none" and self.seeds[0] != self.seed:
            raise ValueError(
                f"seeds must begin with seed={self.seed}, the run's own, found "
                f"{', '.join(map(str, self.seeds))}; or leave seed out"
            )
        if self.processes > self.batch_size:
            raise ValueError(
                f"batch_size is counted over all processes and must be at least {self.processes}, "
                f"their number, found {self.batch_size}"
            )
        if fault := label_mode_fault(self.label_mode, self.label_rule, self.subset):
            raise ValueError(fault)
        return self

    @property
    def data_seed(self) -> int:
        """What draws the subset."""
        return self.seed if self.subset_seed == "seed" else self.subset_seed

    def of_other_seeds(self) -> list[RunConfig]:
        """The same run under each further seed, on the same functions, in a folder of its own."""
        if self.seeds == "none":
            return []
        same = {"seeds": "none", "subset_seed": self.data_seed, "resume_from": ""}
        place = Path(self.run_dir) / "seeds"
        return [
            self.model_copy(update={**same, "seed": seed, "run_dir": str(place / str(seed))})
            for seed in self.seeds[1:]
        ]

    @property
    def scratch_dir(self) -> Path:
        """Where the scratch disk keeps the checkpoints of this run_dir until they are copied."""
        return scratch_dir(Path(self.local_dir), Path(self.run_dir))

    def going_on(self, stored: Mapping[str, Any]) -> RunConfig:
        """The same for a run that was begun with the stored settings.

        A learning rate that nobody chose is the one of the run: what suits the tiny models was once
        the paper's for all.
        """
        rate = stored.get("learning_rate")
        if "learning_rate" in self.model_fields_set or rate != PAPER_LEARNING_RATE:
            return self
        return self.model_copy(update={"learning_rate": rate})

    def under(self, label_mode: str, split_by: str | None = None) -> RunConfig:
        """The same with what `auto` became by the data: the label mode, and how it was divided."""
        divided = {} if split_by is None else {"split_by": split_by}
        return self.model_copy(update={"label_mode": label_mode, **divided})

    def chosen(self) -> dict[str, str]:
        """The settings that were given and differ from their defaults, as they are typed."""
        values = {key: getattr(self, key) for key in type(self).model_fields}
        # Some defaults follow from other settings.
        defaults = {
            key: field.get_default(call_default_factory=True, validated_data=values)
            for key, field in type(self).model_fields.items()
        }
        return {
            key: ",".join(map(str, value)) if isinstance(value, list) else str(value)
            for key, value in values.items()
            if key in self.model_fields_set and value != defaults[key]
        }

    def announcement(self) -> str:
        """The five lines that tell a user what a run will do."""
        strategy = f"every {self.save_steps} steps" if self.save_steps else None
        return (
            "✅ Configuration updated:\n"
            f"   - Epochs: {self.epochs}\n"
            f"   - Batch Size: {self.batch_size}\n"
            f"   - SWA (Stochastic Weight Averaging): {self.use_swa}\n"
            f"   - Checkpoint Strategy: save {strategy or 'at the end of each epoch'}\n"
            f"   - Resume: {self.resume}\n"
        )

    def places(self) -> str:
        """The lines after these: what is trained, on what, where it goes, what else was set."""
        lines = {
            "Data": f"{self.data_dir} ({self.label_mode})",
            "Base Models": ", ".join(base_model_names(self.base_models)),
            "Run Folder": self.run_dir,
        }
        if "learning_rate" in self.model_fields_set:
            lines["Learning Rate"] = f"{self.learning_rate:g}"
        elif self.learning_rate != PAPER_LEARNING_RATE:
            lines["Learning Rate"] = f"{self.learning_rate:g}, with which tiny models learn"
        others = [
            f"{key}={value}" for key, value in self.chosen().items() if key not in TOLD_BY_LINES
        ]
        if others:
            lines["Also Set"] = ", ".join(others)
        return "".join(f"   - {name}: {value}\n" for name, value in lines.items())


def configure(**fields: Any) -> RunConfig:
    """Check a notebook's UPPER_CASE form fields, print what was set, and return the RunConfig."""
    config = RunConfig(**fields)
    put(config.announcement().removesuffix("\n"), sys.stdout)
    return config
