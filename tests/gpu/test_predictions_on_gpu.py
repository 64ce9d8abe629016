from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from enstack.models.base_models import load_classifier
from enstack.models.hardware import Hardware
from enstack.models.predict import predict_probabilities
from enstack.progress.stopping import StopRequest


def predicted(parts: Any, device: str, precision: str) -> np.ndarray:
    """Probabilities of the training functions by the untrained classifier, float32 (n, k)."""
    model, tokenizer, data = parts
    classifier = load_classifier(
        model, data.class_names, seed=1, problem_type=data.task.problem_type
    )
    return predict_probabilities(
        classifier.to(device),
        data.train,
        Hardware(torch.device(device), precision, 0),
        batch_size=8,
        pad_token_id=tokenizer.pad_token_id,
        title="Predicting",
        stop=StopRequest(),
    )


def test_predictions_on_the_gpu_are_those_of_the_cpu(dropout_parts: Any) -> None:
    ours = predicted(dropout_parts, "cuda", "fp32")
    np.testing.assert_allclose(ours, predicted(dropout_parts, "cpu", "fp32"), rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(ours, predicted(dropout_parts, "cuda", "fp32"))


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_predictions_in_half_precision_are_near_and_the_changed_labels_are_told(
    dropout_parts: Any, tell: Callable[[str], None], precision: str
) -> None:
    exact, half = (predicted(dropout_parts, "cuda", p) for p in ("fp32", precision))
    assert np.isfinite(half).all()
    np.testing.assert_allclose(half.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(half, exact, atol=0.05)
    changed = (half.argmax(axis=1) != exact.argmax(axis=1)).mean()
    apart = np.abs(half - exact).max()
    tell(f"{precision}: {changed:.1%} of {len(exact)} labels changed, probabilities by {apart:.1e}")
