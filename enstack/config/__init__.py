"""RunConfig and configure: the only place where settings are checked."""

from enstack.config.defaults import PAPER_LEARNING_RATE
from enstack.config.files import load_config, parse_overrides
from enstack.config.names import (
    FIXED_SETTINGS,
    HUB_IDS,
    HUB_MODELS,
    META_CLASSIFIERS,
    SHAPE_TRAINING_ALONE,
    TINY_MODELS,
    TOLD_BY_THE_DATA,
    base_model_names,
    lock_file,
    named_again,
    scratch_dir,
)
from enstack.config.run_config import RunConfig, configure
from enstack.config.swa import SWA_WARNING, ForcedOffWarning, asks_for_swa, warn_of_swa

__all__ = [
    "FIXED_SETTINGS",
    "HUB_IDS",
    "HUB_MODELS",
    "META_CLASSIFIERS",
    "PAPER_LEARNING_RATE",
    "SHAPE_TRAINING_ALONE",
    "SWA_WARNING",
    "TINY_MODELS",
    "TOLD_BY_THE_DATA",
    "ForcedOffWarning",
    "RunConfig",
    "asks_for_swa",
    "base_model_names",
    "configure",
    "load_config",
    "lock_file",
    "named_again",
    "parse_overrides",
    "scratch_dir",
    "warn_of_swa",
]
