"""The plain baselines: what they learn, which columns they fill, how much they read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import skops.io
from sklearn.multiclass import OneVsRestClassifier

from enstack.data.functions import Functions
from enstack.errors import CheckpointError
from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.stacking.baselines import fit_length_alone, plain_baselines
from enstack.stacking.costs import Clocks
from enstack.stacking.learned import with_absent_classes
from enstack.stacking.word_counts import fit_word_counts, load_word_counts, save_word_counts
from enstack.storage.files import write_bytes

NAMES = ("a", "b", "c", "d", "e")
TWO = OneClass(NAMES[:2])
COPIES = (
    "strncpy(to, from, sizeof(to))",
    "strcpy(to, from)",
    "memset(to, 0, n)",
    "return end - at",
)


def make_functions(labels: list[int], split: str = "train") -> Functions:
    random = np.random.RandomState(len(labels))
    texts = [f"f{random.randint(99)}(char *a) {{ {COPIES[label]}; }}" for label in labels]
    ids = np.array([f"{split}/{row}" for row in range(len(labels))])
    return Functions(ids, pa.array(texts, type=pa.large_string()), np.array(labels, dtype=np.int64))


def word_counts(train: Functions, asked: list[Functions], task: LabelTask) -> np.ndarray:
    return fit_word_counts(train, task).predict_proba(asked)


def test_tfidf_finds_the_class_that_a_pair_of_tokens_tells():
    test = make_functions([3, 2, 1, 0] * 5, "test")
    found = word_counts(make_functions([0, 1, 2, 3] * 20), [test], OneClass(NAMES[:4]))
    np.testing.assert_array_equal(found.argmax(axis=1), test.labels)


def test_tfidf_tells_functions_apart_by_operators_alone():
    texts = ["f(int a) { return a < 0; }", "f(int a) { return a > 0; }"] * 10
    labels = np.array([0, 1] * 10)
    ids = np.array([str(row) for row in range(20)])
    functions = Functions(ids, pa.array(texts, type=pa.large_string()), labels)
    found = word_counts(functions, [functions], OneClass(NAMES[:2]))
    np.testing.assert_array_equal(found.argmax(axis=1), labels)


def test_tfidf_gives_float32_rows_that_sum_to_one():
    found = word_counts(
        make_functions([0, 1, 2, 3] * 5), [make_functions([0, 1, 2], "test")], OneClass(NAMES[:4])
    )
    assert (found.shape, found.dtype) == ((3, 4), np.float32)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("labels", [[0, 2, 3], [0, 3]])
def test_a_class_that_train_lacks_gets_probability_zero(labels: list[int]):
    found = word_counts(make_functions(labels * 5), [make_functions([0, 3])], OneClass(NAMES[:5]))
    absent = sorted(set(range(5)) - set(labels))
    assert (found[:, absent] == 0).all()
    assert (found[:, labels] > 0).all()


def test_train_of_a_single_class_gives_that_class():
    found = word_counts(make_functions([2, 2]), [make_functions([0, 1])], OneClass(NAMES[:4]))
    np.testing.assert_array_equal(found, [[0, 0, 1, 0]] * 2)


def test_two_runs_are_equal():
    train, test = make_functions([0, 1, 2, 3] * 10), make_functions([0, 1], "test")
    first, again = (word_counts(train, [test], OneClass(NAMES[:4])) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_texts_in_several_slices_are_all_read(monkeypatch: pytest.MonkeyPatch):
    train, test = make_functions([0, 1, 2, 3] * 10), make_functions([0, 1, 2], "test")
    whole = word_counts(train, [test], OneClass(NAMES[:4]))
    monkeypatch.setattr("enstack.stacking.word_counts.ROWS_AT_ONCE", 2)
    np.testing.assert_array_equal(word_counts(train, [test], OneClass(NAMES[:4])), whole)


def test_more_functions_than_the_bound_are_thinned_class_by_class(monkeypatch: pytest.MonkeyPatch):
    seen: list[np.ndarray] = []
    fit = OneVsRestClassifier.fit
    monkeypatch.setattr("enstack.stacking.word_counts.MAX_TRAIN_FUNCTIONS", 30)
    monkeypatch.setattr(
        OneVsRestClassifier,
        "fit",
        lambda self, features, labels: (seen.append(labels), fit(self, features, labels))[1],
    )
    train = make_functions([0] * 90 + [1] * 9)
    word_counts(train, [make_functions([0, 1], "test")], OneClass(NAMES[:2]))
    counts = np.bincount(seen[0])
    assert counts.sum() <= 30
    assert counts[1] in (2, 3)


def test_the_majority_class_of_train_is_given_to_every_row():
    found = OneClass(NAMES[:4]).plainest_probabilities(np.array([1, 1, 2]), 3)
    np.testing.assert_array_equal(found, [[0, 1, 0, 0]] * 3)
    assert found.dtype == np.float32


def test_absent_classes_become_columns_of_zeros():
    found = with_absent_classes(np.array([[0.25, 0.75]]), np.array([0, 2]), 4)
    np.testing.assert_array_equal(found, [[0.25, 0, 0.75, 0]])


def test_figures_baselines_and_stacks_need_no_torch():
    code = (
        "import sys, enstack.metrics.classes, enstack.stacking.baselines, enstack.stacking.stack; "
        "sys.exit(bool({'torch', 'transformers', 'datasets'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def make_flagged(rows: list[tuple[int, ...]], split: str = "train") -> Functions:
    """Functions that hold the copies of the flags they have, and one that all have."""
    texts = [f"f() {{ {'; '.join(COPIES[flag] for flag in row)}; }}" for row in rows]
    flags = np.array([[place in row for place in range(4)] for row in rows])
    ids = np.array([f"{split}/{row}" for row in range(len(rows))])
    return Functions(ids, pa.array(texts, type=pa.large_string()), flags)


def test_tfidf_finds_each_flag_by_itself_and_gives_a_constant_one_its_frequency():
    train = make_flagged([(0, 3), (1, 3), (0, 1, 3), (3,)] * 8)
    asked = [make_flagged([(0, 1, 3), (3,)], "test"), make_flagged([(1, 3)], "validation")]
    found = word_counts(train, asked, SeveralFlags(NAMES[:4]))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, :2] > 0.5, [[1, 1], [0, 0], [0, 1]])
    np.testing.assert_array_equal(found[:, 2:], [[0, 1]] * 3)


def test_the_plainest_answer_of_flags_is_how_often_train_has_them():
    flags = np.array([[True, False], [True, False], [True, True], [False, False]])
    found = SeveralFlags(NAMES[:2]).plainest_probabilities(flags, 2)
    np.testing.assert_array_equal(found, [[0.75, 0.25]] * 2)


@pytest.mark.parametrize(
    ("task", "train", "names"),
    [
        (OneClass(NAMES[:4]), make_functions([0, 1, 2, 3] * 5), {"tfidf_lr", "length", "majority"}),
        (
            SeveralFlags(NAMES[:4]),
            make_flagged([(0,), (1,), (0, 1), ()] * 5),
            {"tfidf_lr", "length", "frequency"},
        ),
    ],
)
def test_baselines_have_a_row_for_every_function_asked(
    task: LabelTask, train: Functions, names: set[str]
):
    asked = [train.take(np.arange(3)), train.take(np.arange(5))]
    found = plain_baselines(train, asked, task)
    assert {name: values.shape for name, values in found.items()} == dict.fromkeys(names, (8, 4))
    np.testing.assert_array_equal(found["tfidf_lr"][:3], found["tfidf_lr"][3:6])


def functions_of(texts: list[str], labels: list[int]) -> Functions:
    ids = np.array([str(row) for row in range(len(texts))])
    return Functions(ids, pa.array(texts, type=pa.large_string()), np.array(labels))


def test_the_name_of_a_function_tells_nothing():
    labels = [0, 1] * 20
    texts = [f"{('good', 'bad')[label]}(int a) {{ return a; }}" for label in labels]
    train = functions_of(texts, labels)
    found = word_counts(train, [train], OneClass(NAMES[:2]))
    np.testing.assert_allclose(found, 0.5, atol=1e-6)


def test_a_rare_class_is_not_given_up_for_the_frequent_one():
    labels = [0] * 95 + [1] * 5
    # The rare class has a word that a fifth of the frequent one has too.
    texts = [
        f"f(a) {{ {'risky' if label or row % 5 == 0 else 'plain'}; }}"
        for row, label in enumerate(labels)
    ]
    train = functions_of(texts, labels)
    found = word_counts(train, [train], OneClass(NAMES[:2])).argmax(axis=1)
    assert (found[labels.index(1) :] == 1).all()


def test_what_a_single_function_has_is_no_feature():
    labels = [0, 1] * 10
    texts = [f"f(a) {{ only{row}; }}" for row in range(20)]
    train = functions_of(texts, labels)
    found = word_counts(train, [train], OneClass(NAMES[:2]))
    np.testing.assert_allclose(found, 0.5, atol=1e-6)


def test_words_that_no_two_functions_share_leave_the_plainest_answer():
    train = functions_of(["a", "b", "c"], [0, 1, 1])
    found = word_counts(train, [train], OneClass(NAMES[:2]))
    np.testing.assert_array_equal(found, [[0, 1]] * 3)


def functions_of_lengths(lengths: np.ndarray, labels: np.ndarray) -> Functions:
    ids = np.array([str(row) for row in range(len(lengths))])
    texts = ["x" * length for length in lengths]
    return Functions(ids, pa.array(texts, type=pa.large_string()), labels)


def test_length_alone_finds_a_class_in_the_middle_and_no_more_than_lengths_tell():
    random = np.random.RandomState(0)
    lengths = random.randint(10, 300, 600)
    task = OneClass(NAMES[:3])

    def right_on_the_rest(labels: np.ndarray) -> float:
        functions = functions_of_lengths(lengths, labels)
        fitted = fit_length_alone(functions.take(np.arange(400)), task)
        found = fitted.predict_proba([functions.take(np.arange(400, 600))])
        assert found.dtype == np.float32
        assert (found[:, 2] == 0).all()
        return float((found.argmax(axis=1) == labels[400:]).mean())

    labels = np.where((lengths > 100) & (lengths < 200), 1, 0)
    assert right_on_the_rest(labels) > 0.97
    assert right_on_the_rest(random.permutation(labels)) < 0.75


def test_length_alone_tells_lexer_tokens_from_characters():
    texts = ["a + b + c + d", "a_long_name_1"] * 20
    labels = np.array([0, 1] * 20)
    functions = functions_of(texts, labels.tolist())
    found = fit_length_alone(functions, OneClass(NAMES[:2])).predict_proba([functions])
    np.testing.assert_array_equal(found.argmax(axis=1), labels)


def test_length_alone_of_flags_and_of_a_single_class():
    lengths = np.arange(1, 41)
    flags = np.stack([lengths > 20, np.zeros(40, dtype=bool)], axis=1)
    functions = functions_of_lengths(lengths, flags)
    found = fit_length_alone(functions, SeveralFlags(NAMES[:2])).predict_proba([functions])
    np.testing.assert_array_equal(found > 0.5, flags)
    functions = functions_of_lengths(lengths, np.ones(40, dtype=int))
    found = fit_length_alone(functions, OneClass(NAMES[:2])).predict_proba([functions])
    np.testing.assert_array_equal(found, [[0, 1]] * 40)


def test_what_baselines_take_is_told_to_their_clocks():
    train, clocks = make_functions([0, 1, 2, 3] * 20), Clocks()
    plain_baselines(train, [train], OneClass(NAMES[:4]), clocks=clocks)
    assert set(clocks) == {"baseline:tfidf_lr", "baseline:length", "baseline:majority"}
    words = clocks["baseline:tfidf_lr"]
    assert words.learning > 0
    assert words.predicting > 0
    # Nobody learned: words that were counted before cost nothing here.
    again = Clocks()
    fitted = fit_word_counts(train, OneClass(NAMES[:4]))
    plain_baselines(train, [train], OneClass(NAMES[:4]), fitted, again)
    assert again["baseline:tfidf_lr"].learning < words.learning / 2


FLAGS = np.array([[True, False, True], [False, False, True]] * 20)


@pytest.mark.parametrize(
    ("labels", "task"),
    [
        (np.array([0, 1, 3, 1] * 10), OneClass(NAMES[:4])),
        (np.array([0, 1] * 20), OneClass(NAMES[:2])),
        (np.zeros(40, dtype=np.int64), OneClass(NAMES[:2])),
        (FLAGS, SeveralFlags(NAMES[:3])),
    ],
)
def test_word_counts_that_were_kept_say_what_they_said_before(
    labels: np.ndarray, task: LabelTask, tmp_path: Path
) -> None:
    functions = functions_of_lengths(np.tile([20, 30, 40, 50], 10), labels)
    counts, path = fit_word_counts(functions, task), tmp_path / "baselines" / "words.skops"
    save_word_counts(path, counts)
    kept = load_word_counts(path)
    np.testing.assert_array_equal(
        kept.predict_proba([functions]), counts.predict_proba([functions])
    )
    texts = functions.sources.to_pylist()
    np.testing.assert_array_equal(kept.of_texts(texts), counts.predict_proba([functions]))


def test_word_counts_that_answer_otherwise_than_when_they_were_kept_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_word_counts(tmp_path / "words.skops", fit_word_counts(make_functions([0, 1] * 9), TWO))
    monkeypatch.setattr("enstack.stacking.word_counts.mask_own_name", str.upper)
    with pytest.raises(CheckpointError, match=r"must give the probabilities .* they differ by"):
        load_word_counts(tmp_path / "words.skops")


def test_another_models_file_is_no_word_counts(tmp_path: Path) -> None:
    write_bytes(tmp_path / "words.skops", skops.io.dumps({"estimator": 1}))
    with pytest.raises(CheckpointError, match="must be the word counts of a run"):
        load_word_counts(tmp_path / "words.skops")
