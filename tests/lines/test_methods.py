"""What a line adds to a model's log-odds, by every method, on models whose answer is known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from enstack.errors import CheckpointError, ConfigError
from enstack.lines.attention import attention_rollout
from enstack.lines.gradients import gradient_x_input, integrated_gradients
from enstack.lines.log_odds import log_odds, log_odds_of_rows
from enstack.lines.methods import METHODS, line_scores
from enstack.lines.occlusion import occlusion
from enstack.lines.tokens import NO_LINE, TokensOfLines, tokens_of_lines
from enstack.models.base_models import BaseModel, load_classifier, load_tokenizer
from enstack.models.fine_tuned import FineTunedModel
from enstack.models.hardware import Hardware
from enstack.models.tokens import encode, encode_with_ends

FUNCTIONS = (
    "copy(char *s)\n{\n    char b[8];\n    strcpy(b, s);\n}\n",
    "f(void) { return 1; }",
    "get(int i)\r\n{\n\n\tint a[4]; // é🙂\n        return a[i] + a[i + 1] + a[i + 2];\n}",
)
PAD, DECIDES = 1, 7
CPU = Hardware(torch.device("cpu"), "fp32", 0)


class SumOfWords(torch.nn.Module):
    """Two classes, the second one for the sum of its tokens' embeddings: what it does is known."""

    def __init__(self, problem_type: str = "single_label_classification") -> None:
        super().__init__()
        self.table = torch.nn.Embedding(20, 3)
        with torch.no_grad():
            self.table.weight.copy_(torch.linspace(-0.1, 0.1, 60).reshape(20, 3))
            self.table.weight[PAD] = 0
            self.table.weight[DECIDES] = 2
        self.config = SimpleNamespace(problem_type=problem_type)

    def get_input_embeddings(self) -> torch.nn.Embedding:
        return self.table

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        value = (self.table(input_ids).sum(dim=-1) * attention_mask).sum(dim=-1)
        return SimpleNamespace(logits=torch.stack([torch.zeros_like(value), value], dim=-1))


class GivenAttention(torch.nn.Module):
    """Gives the attentions that it was made with, layer by layer."""

    def __init__(self, *layers: Any) -> None:
        super().__init__()
        self.layers = layers
        self.config = SimpleNamespace(_attn_implementation="sdpa")

    def set_attn_implementation(self, name: str) -> None:
        self.config._attn_implementation = name

    def forward(self, **_: Any) -> Any:
        # Torch's own attention has none, whatever is asked for.
        eager = self.config._attn_implementation == "eager"
        return SimpleNamespace(attentions=self.layers if eager else (None,) * len(self.layers))


def model_of(classifier: torch.nn.Module, batch_size: int = 8) -> FineTunedModel:
    tokenizer = SimpleNamespace(pad_token_id=PAD)
    return FineTunedModel("known", classifier, tokenizer, 32, batch_size, CPU)


def tokens(*lines: list[int]) -> TokensOfLines:
    """A function by the tokens of its lines, between two that stand for no text."""
    places = [place for place, ids in enumerate(lines) for _ in ids]
    ids = [0, *(one for line in lines for one in line), 2]
    return TokensOfLines(ids, np.array([NO_LINE, *places, NO_LINE]), len(lines))


@pytest.fixture(scope="module")
def models(two_models: list[str]) -> tuple[FineTunedModel, ...]:
    """Two encoders with random weights, which are sure enough of something to have reasons."""
    return tuple(_sure_model(BaseModel(Path(one).name, one)) for one in two_models)


def _sure_model(base_model: BaseModel) -> FineTunedModel:
    classifier: Any = load_classifier(base_model, tuple("abcdef"), seed=3)
    classifier.classifier.out_proj.weight.data *= 400
    tokenizer = load_tokenizer(base_model)
    return FineTunedModel(base_model.name, classifier, tokenizer, 32, 8, CPU)


@pytest.mark.parametrize("method", [gradient_x_input, integrated_gradients, occlusion])
def test_a_token_that_alone_decides_has_its_line_on_top(method: Any) -> None:
    model = model_of(SumOfWords())
    functions = [tokens([3, 4], [5, DECIDES], [6]), tokens([DECIDES], [4, 4, 4, 4])]
    found = method(model, functions, [1, 1])
    assert [int(one.argmax()) for one in found] == [1, 0]
    # For the other class the same line speaks against it.
    against = method(model, functions, [0, 0])
    for scores, other in zip(found, against, strict=True):
        np.testing.assert_allclose(other, -scores, atol=1e-6)


@pytest.mark.parametrize("method", [gradient_x_input, integrated_gradients, occlusion])
@pytest.mark.parametrize("problem_type", ["single_label", "multi_label"])
def test_of_a_linear_model_every_method_gives_what_each_line_adds(
    method: Any, problem_type: str
) -> None:
    classifier = SumOfWords(f"{problem_type}_classification")
    function = tokens([3, DECIDES], [], [4], [19, 19])
    (found,) = method(model_of(classifier), [function], [1])
    words = classifier.table.weight.detach().sum(dim=-1)
    expected = [float(words[3] + words[DECIDES]), 0, float(words[4]), float(2 * words[19])]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_log_odds_are_those_of_the_probabilities() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5], [8.0, 0.0, -9.0]])
    model = model_of(SumOfWords())
    probabilities = torch.softmax(logits.double(), dim=-1)
    for place in range(3):
        found = log_odds(model, logits.double(), torch.tensor([place, place]))
        torch.testing.assert_close(found, torch.logit(probabilities[:, place], eps=1e-300))
    flags = model_of(SumOfWords("multi_label_classification"))
    assert log_odds(flags, logits, torch.tensor([2, 0])).tolist() == [0.5, 8.0]


def test_integrated_gradients_add_up_to_the_difference_from_no_code(
    models: tuple[FineTunedModel, ...],
) -> None:
    classes = [1, 3, 5]
    for model in models:
        read = tokens_of_lines(FUNCTIONS, model)
        rows = [one.input_ids for one in read]
        nothing = [_without_code(model, *one) for one in zip(read, classes, strict=True)]
        difference = log_odds_of_rows(model, rows, classes) - nothing
        found = integrated_gradients(model, read, classes)
        assert np.abs(difference).min() > 0.05
        np.testing.assert_allclose([one.sum() for one in found], difference, rtol=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_scores_are_the_same_in_any_company(name: str, models: tuple[FineTunedModel, ...]) -> None:
    weights, classes = [0.75, 0.25], [0, 2, 4]
    together = line_scores(models, weights, FUNCTIONS, classes, name)
    for function, place, expected in zip(FUNCTIONS, classes, together, strict=True):
        (alone,) = line_scores(models, weights, [function], [place], name)
        np.testing.assert_allclose(alone, expected, atol=1e-5)
        assert len(alone) == 1 + function.count("\n")
        # Shares of all that lines add and take away; of two models they may cancel out.
        assert 0 < np.abs(alone).sum() <= 1 + 1e-9


def test_models_count_by_their_weights(models: tuple[FineTunedModel, ...]) -> None:
    first, second = (line_scores([one], [1.0], FUNCTIONS, [1, 1, 1]) for one in models)
    both = line_scores(models, [0.75, 0.25], FUNCTIONS, [1, 1, 1])
    for one, other, mean in zip(first, second, both, strict=True):
        np.testing.assert_allclose(mean, 0.75 * one + 0.25 * other, atol=1e-9)


def test_tokens_are_those_that_are_judged_and_stand_in_the_line_of_their_last_character(
    models: tuple[FineTunedModel, ...],
) -> None:
    for model in models:
        found = tokens_of_lines(FUNCTIONS, model)
        assert [one.input_ids for one in found] == encode(
            list(FUNCTIONS), model.tokenizer, model.max_length
        )[0]
        _, ends = encode_with_ends(list(FUNCTIONS), model.tokenizer, model.max_length)
        for one, function, own in zip(found, FUNCTIONS, ends, strict=True):
            lines = function.split("\n")
            # What ends a line is still part of it.
            assert one.lines.tolist() == [
                NO_LINE if end < 0 else function.count("\n", 0, max(end - 1, 0)) for end in own
            ]
            assert one.n_lines == len(lines)
            for line in range(one.n_lines):
                ids = [i for i, at in zip(one.input_ids, one.lines, strict=True) if at == line]
                text = model.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
                assert text.strip() in lines[line].strip() or not lines[line].isascii()
        # Cut at 32 tokens: what lies behind is in no line that is read.
        assert found[2].lines.max() < found[2].n_lines - 1


def test_rollout_follows_attention_from_the_first_token_through_all_layers() -> None:
    # One head; the first layer moves the third token into the second one, which the last one reads.
    first, last = torch.eye(8), torch.eye(8)  # the width of a batch, padding and all
    first[1] = torch.eye(8)[2]
    last[0] = torch.eye(8)[1]
    model = model_of(GivenAttention(first[None, None], last[None, None]))
    function = TokensOfLines([0, 5, 6], np.array([NO_LINE, 0, 1]), 2)
    (found,) = attention_rollout(model, [function], [0])
    # Half stays with the first one; of the half from the second one, half is the third one's.
    np.testing.assert_allclose(found, [0.25, 0.25])
    assert model.classifier.config._attn_implementation == "sdpa"


def test_rollout_loads_attention_in_the_plain_way_and_puts_it_back(
    models: tuple[FineTunedModel, ...],
) -> None:
    for model in models:
        read = tokens_of_lines(FUNCTIONS, model)
        before = log_odds_of_rows(model, [one.input_ids for one in read], [1, 1, 1])
        for scores in attention_rollout(model, read, [1, 1, 1]):
            assert (scores >= 0).all()
            assert 0 < scores.sum() < 1  # the rest is in tokens that stand for no text
        assert model.classifier.config._attn_implementation == "sdpa"
        again = log_odds_of_rows(model, [one.input_ids for one in read], [1, 1, 1])
        np.testing.assert_array_equal(again, before)


@pytest.mark.parametrize("layers", [(), (None, None)])
def test_a_model_that_gives_no_attentions_is_refused(layers: tuple[None, ...]) -> None:
    model = model_of(GivenAttention(*layers))
    with pytest.raises(CheckpointError, match=r"known gives none\. Take another method"):
        attention_rollout(model, [tokens([3])], [0])


def test_a_method_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"must be one of gradient x input, .* found 'lime'"):
        line_scores([], [], [], [], "lime")


def _without_code(model: FineTunedModel, function: TokensOfLines, place: int) -> float:
    """The log-odds of the function with padding's embedding for its code, at the code's places."""
    table = model.classifier.get_input_embeddings()
    has_line = torch.from_numpy(function.lines != NO_LINE)

    def padded(_: Any, __: Any, embedded: torch.Tensor) -> torch.Tensor:
        embedded[0, : len(has_line)][has_line] = table.weight[PAD]
        return embedded

    hook = table.register_forward_hook(padded)
    try:
        return float(log_odds_of_rows(model, [function.input_ids], [place])[0])
    finally:
        hook.remove()
