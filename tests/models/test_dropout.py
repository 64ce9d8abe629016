"""Dropout by cheap masks: the same share, the same scale, the same gradients as torch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from enstack.models.dropout import attention, cheap_dropout, dropout

NOTHING = 1e-9  # is dropped of so few values, though there is a mask
SHAPE = {
    "vocab_size": 60,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "initializer_range": 0.5,
}


@given(p=st.floats(0.001, 0.999), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_as_many_are_dropped_as_asked_for_and_the_mean_stays(p: float, seed: int) -> None:
    torch.manual_seed(seed)
    ones = torch.ones(3, 7, 997)
    left = dropout(ones, p)
    share = float((left == 0).double().mean())
    deviation = (p * (1 - p) / ones.numel()) ** 0.5
    assert abs(share - p) < 6 * deviation + 1e-5
    assert left.unique().numel() == 2
    assert float(left.max()) == pytest.approx(1 / (1 - p), rel=0.02)
    assert float(left.double().mean()) == pytest.approx(1, abs=7 * deviation / (1 - p) + 0.02 * p)


def test_neighbours_and_later_masks_are_dropped_by_chances_of_their_own() -> None:
    torch.manual_seed(1)
    first, second = (dropout(torch.ones(400_000), 0.5) == 0 for _ in range(2))
    # Four values share 64 bits that are drawn.
    pairs = [(first[:-gap], first[gap:]) for gap in (1, 2, 3, 4, 8)] + [(first, second)]
    for left, right in pairs:
        both = float((left & right).double().mean())
        assert both == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_none_and_all_are_dropped_as_by_torch(p: float) -> None:
    values = torch.randn(50)
    assert torch.equal(dropout(values, p), torch.nn.functional.dropout(values, p))


def test_what_was_dropped_gets_no_gradient_and_the_rest_its_scale() -> None:
    torch.manual_seed(2)
    values = torch.randn(1000, requires_grad=True)
    left = dropout(values, 0.25)
    left.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad == 0, left == 0)
    assert torch.allclose(values.grad[left != 0], torch.tensor(4 / 3))


def test_masks_go_on_where_torchs_generator_stands() -> None:
    torch.manual_seed(3)
    dropout(torch.ones(5), 0.5)
    state = torch.get_rng_state()
    expected = [dropout(torch.ones(999), 0.5) for _ in range(3)]
    torch.set_rng_state(state)
    assert all(torch.equal(dropout(torch.ones(999), 0.5), one) for one in expected)
    assert not torch.equal(expected[0], expected[1])


@pytest.mark.parametrize("mask", ["none", "bool", "added"])
@pytest.mark.parametrize("asking", [1, 9])
def test_attention_whose_weights_all_stay_is_torchs(mask: str, asking: int) -> None:
    torch.manual_seed(4)
    query, key, value = (
        torch.randn(2, 3, tokens, 8, requires_grad=True) for tokens in (asking, 9, 9)
    )
    counts = torch.arange(9) < torch.tensor([9, 4])[:, None, None, None]
    of_kind = {
        "none": None,
        "bool": counts.expand(2, 1, asking, 9),
        "added": torch.where(counts, 0.0, torch.finfo(torch.float32).min),
    }[mask]

    def outcome(p: float) -> list[torch.Tensor]:
        made = attention(query, key, value, of_kind, p)
        return [made, *torch.autograd.grad(made.square().sum(), (query, key, value))]

    expected = scaled_dot_product_attention(query, key, value, attn_mask=of_kind)
    torch.testing.assert_close(outcome(0.0)[0], expected)
    torch.testing.assert_close(outcome(NOTHING), outcome(0.0), atol=1e-5, rtol=1e-4)


def classifier(p: float) -> RobertaForSequenceClassification:
    torch.manual_seed(0)
    config = RobertaConfig(**SHAPE, hidden_dropout_prob=p, attention_probs_dropout_prob=p)
    return RobertaForSequenceClassification(config).train()


def batch_of(lengths: list[int]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 60, (len(lengths), max(lengths)), generator=generator)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return {"input_ids": torch.where(mask == 1, ids, 1), "attention_mask": mask}


@pytest.mark.parametrize("lengths", [[9, 9], [9, 4, 1]])
def test_where_nothing_is_dropped_the_gradients_of_a_training_are_the_same(
    lengths: list[int],
) -> None:
    model, batch = classifier(NOTHING), batch_of(lengths)
    labels = torch.arange(len(lengths)) % 2

    def gradients() -> dict[str, torch.Tensor]:
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(**batch).logits, labels).backward()
        return {
            name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None
        }

    expected = gradients()
    with cheap_dropout(model):
        found = gradients()
    assert found.keys() == expected.keys()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_every_place_that_drops_draws_by_cheap_masks_and_afterwards_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, batch, drawn = classifier(0.1), batch_of([9, 4]), list[tuple[int, ...]]()
    torch.manual_seed(5)
    before = model(**batch).logits

    def noted(values: torch.Tensor, p: float) -> torch.Tensor:
        drawn.append(tuple(values.shape))
        return dropout(values, p)

    with monkeypatch.context() as patched:
        patched.setattr("enstack.models.dropout.dropout", noted)
        with cheap_dropout(model):
            model(**batch)
    states = (2, 9, 24)
    # Of each layer its attention's weights, and what its two halves give.
    assert drawn == [states, *3 * [(2, 4, 9, 9), states, states], (2, 24), (2, 24)]
    with cheap_dropout(model), torch.no_grad():
        one, other = (model(**batch).logits for _ in range(2))
    assert not torch.equal(one, other)
    torch.manual_seed(5)
    assert torch.equal(model(**batch).logits, before)


@torch.no_grad()
def test_other_families_drop_by_cheap_masks_and_keep_their_attention() -> None:
    torch.manual_seed(0)
    config = BertConfig(**SHAPE, hidden_dropout_prob=NOTHING, attention_probs_dropout_prob=0.0)
    model = BertForSequenceClassification(config).train()
    batch = batch_of([9, 4])
    expected = model(**batch).logits
    with cheap_dropout(model):
        torch.testing.assert_close(model(**batch).logits, expected, atol=1e-5, rtol=1e-5)


def test_a_model_that_predicts_is_left_alone() -> None:
    model, batch = classifier(0.5).eval(), batch_of([9, 4])
    expected = model(**batch).logits
    with cheap_dropout(model):
        assert torch.equal(model(**batch).logits, expected)
