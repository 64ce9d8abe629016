"""The last layer for its first token alone: the same logits for a part of the work."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from enstack.models.first_token import first_token_alone

SHAPE = {
    "vocab_size": 60,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "initializer_range": 0.5,
}


def batch_of(lengths: list[int]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 60, (len(lengths), max(lengths)), generator=generator)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return {"input_ids": torch.where(mask == 1, ids, 1), "attention_mask": mask}


def widths_of_last_layer(model: RobertaForSequenceClassification) -> list[int]:
    """How many tokens the last layer's feed-forward part sees, of each call; grows."""
    widths = list[int]()
    model.roberta.encoder.layer[-1].intermediate.register_forward_pre_hook(
        lambda _, inputs: widths.append(inputs[0].shape[1])
    )
    return widths


@pytest.mark.parametrize("lengths", [[9, 9], [9, 4, 1], [1]])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@torch.inference_mode()
def test_the_last_layer_computes_one_token_and_the_logits_are_the_same(
    lengths: list[int], attention: str
) -> None:
    torch.manual_seed(0)
    config = RobertaConfig(**SHAPE, attn_implementation=attention)
    model = RobertaForSequenceClassification(config).eval()
    batch, widths = batch_of(lengths), widths_of_last_layer(model)
    expected = model(**batch).logits
    with first_token_alone(model):
        found = model(**batch).logits
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(model(**batch).logits, expected)  # and afterwards it is as it was
    assert widths == [max(lengths), 1, max(lengths)]


@pytest.mark.parametrize("lengths", [[9, 9], [9, 4, 1]])
def test_the_gradients_of_a_training_are_the_same(lengths: list[int]) -> None:
    torch.manual_seed(0)
    config = RobertaConfig(**SHAPE, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = RobertaForSequenceClassification(config).train()
    batch, labels = batch_of(lengths), torch.arange(len(lengths)) % 2

    def gradients() -> dict[str, torch.Tensor]:
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(**batch).logits, labels).backward()
        return {
            name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None
        }

    expected = gradients()
    with first_token_alone(model):
        found = gradients()
    assert found.keys() == expected.keys()
    assert min(float(one.abs().max()) for name, one in found.items() if "key.bias" not in name) > 0
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "place", ["attention.self.dropout", "attention.output.dropout", "output.dropout"]
)
def test_dropout_of_the_last_layer_falls_in_training_alone(place: str) -> None:
    torch.manual_seed(0)
    config = RobertaConfig(**SHAPE, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model, batch = RobertaForSequenceClassification(config), batch_of([9, 4])
    model.roberta.encoder.layer[-1].get_submodule(place).p = 0.5

    def logits(*, training: bool) -> torch.Tensor:
        model.train(training)
        with first_token_alone(model), torch.no_grad():
            return model(**batch).logits

    assert torch.equal(logits(training=False), logits(training=False))
    assert not torch.equal(logits(training=True), logits(training=True))


def test_a_model_is_as_it_was_after_a_failure() -> None:
    model = RobertaForSequenceClassification(RobertaConfig(**SHAPE)).eval()
    widths = widths_of_last_layer(model)
    with pytest.raises(KeyError, match="x"), first_token_alone(model):
        raise KeyError("x")
    model(**batch_of([5]))
    assert widths == [5]


@torch.inference_mode()
def test_a_model_of_another_family_computes_all_it_did() -> None:
    model = BertForSequenceClassification(BertConfig(**SHAPE)).eval()
    batch = batch_of([7, 3])
    expected = model(**batch).logits
    with first_token_alone(model):
        assert torch.equal(model(**batch).logits, expected)


@torch.inference_mode()
def test_a_decoders_first_token_sees_itself_alone() -> None:
    torch.manual_seed(0)
    model = RobertaForSequenceClassification(RobertaConfig(**SHAPE, is_decoder=True)).eval()
    batch = batch_of([9, 9])
    expected = model(**batch).logits
    with first_token_alone(model):
        torch.testing.assert_close(model(**batch).logits, expected, atol=1e-6, rtol=1e-5)
