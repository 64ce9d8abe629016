"""Which setting is meant by a name that is none: misspelt, or as other programs call it."""

from __future__ import annotations

import difflib
from collections.abc import Collection

# As Hugging Face's Trainer, Lightning and scripts of theses call them.
OTHER_NAMES = {
    **dict.fromkeys(("lr", "step_size"), "learning_rate"),
    **dict.fromkeys(("wd", "l2"), "weight_decay"),
    **dict.fromkeys(("fp16", "bf16", "amp", "use_amp", "mixed_precision", "dtype"), "precision"),
    **dict.fromkeys(("full_determinism", "use_deterministic_algorithms"), "deterministic"),
    **dict.fromkeys(("model", "models", "model_name", "model_names"), "base_models"),
    **dict.fromkeys(("output_dir", "save_dir", "checkpoint_dir", "run_name"), "run_dir"),
    **dict.fromkeys(("data", "dataset", "data_path"), "data_dir"),
    **dict.fromkeys(("max_len", "max_seq_len", "max_seq_length", "seq_length"), "max_length"),
    **dict.fromkeys(("grad_clip", "clip_grad_norm", "gradient_clip_val"), "max_grad_norm"),
    **dict.fromkeys(("bs", "per_device_train_batch_size"), "batch_size"),
    **dict.fromkeys(("lr_scheduler", "lr_scheduler_type"), "scheduler"),
    **dict.fromkeys(("labels", "task"), "label_mode"),
    **dict.fromkeys(("cache_dir", "tmp_dir", "temp_dir", "scratch_dir"), "local_dir"),
    **dict.fromkeys(("meta_model", "meta_models", "stackers"), "meta_classifiers"),
    **dict.fromkeys(("cv", "n_splits"), "folds"),
    **dict.fromkeys(("test_size", "val_split"), "split_by"),
    **dict.fromkeys(("wandb", "tensorboard"), "report_to"),
    **dict.fromkeys(("nproc_per_node", "num_processes", "num_gpus", "n_gpu", "gpus"), "processes"),
    "ema": "use_swa",
    "deduplicate": "drop_near_duplicates",
    "random_state": "seed",
    "resume_from_checkpoint": "resume_from",
    "class_weight": "class_weights",
}
# What others set and nobody sets here, with how it always is.
FIXED = {
    **dict.fromkeys(("optimizer", "optim"), "it is AdamW, always"),
    **dict.fromkeys(("dropout", "dropout_rate", "hidden_dropout"), "it is the model's own"),
    **dict.fromkeys(("device", "cuda", "no_cuda"), "a GPU is used where there is one"),
    **dict.fromkeys(("loss", "focal_loss", "label_smoothing"), "it is cross-entropy, always"),
    **dict.fromkeys(("num_labels", "num_classes"), "it follows from label_mode and the data"),
    "tokenizer": "each base model has its own",
    "gradient_checkpointing": "no activation is computed twice; a smaller batch_size saves memory",
    "freeze": "all weights are trained",
    "trust_remote_code": "code that comes with a model is never run",
}
# Words of settings that stand in all sorts of names.
COMMON_WORDS = {
    *("data", "label", "mode", "rule", "max", "num", "size", "steps", "rate", "ratio", "dir"),
    *("use", "from", "run", "local", "base", "near", "drop", "keep", "meta", "norm", "class"),
}
MISSPELT = 0.72  # LERNRATE is a misspelt LEARNING_RATE; HIDDEN_SIZE is no BATCH_SIZE
LIKE_A_KEY = 0.9  # EPOCH is a misspelt EPOCHS; SEEDS is a name of the user's own


def advice_for(name: str, keys: Collection[str]) -> str:
    """What to do about a name that is no setting: the one that is meant, or that there is none."""
    if reason := FIXED.get(name.lower()):
        return f"nothing sets it, for {reason}"
    meant = meant_setting(name, keys)
    return f"did you mean {meant}?" if meant else "see docs/configuration.md for the keys"


def meant_setting(name: str, keys: Collection[str]) -> str | None:
    """The setting among the keys that a name most likely means; None where none is like it."""
    name = name.lower()
    if OTHER_NAMES.get(name) in keys:
        return OTHER_NAMES[name]
    if name in FIXED:
        return None
    sharing = [key for key in keys if _words(name) & _words(key) - COMMON_WORDS]
    among, cutoff = (sharing, 0.4) if sharing else (list(keys), MISSPELT)
    nearest = difflib.get_close_matches(name, among, n=1, cutoff=cutoff)
    return nearest[0] if nearest else None


def looks_like_a_setting(name: str, keys: Collection[str]) -> bool:
    """Whether a name was probably meant as a setting, though it is none of the keys."""
    name = name.lower()
    if name in OTHER_NAMES or name in FIXED:
        return True
    if difflib.get_close_matches(name, keys, n=1, cutoff=LIKE_A_KEY):
        return True
    return any(_words(name) & _words(key) - COMMON_WORDS for key in keys)


def _words(name: str) -> set[str]:
    return set(name.split("_"))
