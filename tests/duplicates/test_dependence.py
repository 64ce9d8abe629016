"""Commits and projects beside near-duplicates: in one fold, and drawn whole into resamples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from enstack.data.functions import Functions, VulnerabilityData
from enstack.data.holdout import divide_in_folds
from enstack.duplicates.clusters import train_clusters
from enstack.duplicates.contamination import duplicates_of_test
from enstack.duplicates.dependence import groups_of_folds, groups_of_test
from tests.support.tables import own_function

Columns = dict[str, list[str | None]]


def split(name: str, start: int, n: int, columns: Columns) -> Functions:
    ids = np.array([f"{name}/{row}" for row in range(n)])
    texts = [own_function(start + row) for row in range(n)]
    groups = pa.table({k: pa.array(v, pa.large_string()) for k, v in columns.items()})
    sources = pa.array(texts, pa.large_string())
    return Functions(ids, sources, np.arange(n) % 2, groups=groups)


def made(train: Columns, test: Columns) -> VulnerabilityData:
    n_train, n_test = (len(next(iter(columns.values()))) for columns in (train, test))
    splits = {
        "train": split("train", 0, n_train, train),
        "validation": split("validation", 1000, 1, {kind: [None] for kind in train}),
        "test": split("test", 2000, n_test, test),
    }
    return VulnerabilityData(splits, ("clean", "vulnerable"), "binary", "made up")


def names(kind: str, n: int, each: int) -> list[str | None]:
    return [f"{kind}{number // each}" for number in range(n)]


def of_projects(n_test: int, kind: str) -> VulnerabilityData:
    """Train has 20 projects of two commits of two functions; test two functions a project."""
    train = {"project": names("p", 80, 4), "commit": names("c", 80, 2)}
    return made(train, {"project": names(kind, n_test, 2), "commit": names("d", n_test, 1)})


def test_a_commit_lies_in_one_fold() -> None:
    data = made({"commit": names("c", 40, 4)}, {"commit": ["c0"]})
    clusters, how = train_clusters(data, 5)
    assert how == {"near_duplicates_from": 0.7, "groups": ["commit"]}
    folds = divide_in_folds(data, clusters, 5, 1, how)
    assert [len(set(folds.fold_of[place : place + 4])) for place in range(0, 40, 4)] == [1] * 10
    assert folds.kept_together["groups"] == ["commit"]


def test_a_project_lies_in_one_fold_where_test_has_others_than_train() -> None:
    assert list(groups_of_folds(of_projects(8, "p"))) == ["commit"]
    assert list(groups_of_folds(of_projects(8, "q"))) == ["project", "commit"]
    clusters, how = train_clusters(of_projects(8, "q"), 5)
    assert len(np.unique(clusters)) == 20
    assert how["groups"] == ["project", "commit"]


def test_groups_that_fit_into_no_fold_are_kept_together_as_far_as_they_do() -> None:
    large = {"project": ["p"] * 70 + names("r", 10, 1), "commit": names("c", 80, 2)}
    _, how = train_clusters(made(large, {"project": ["q"], "commit": ["d"]}), 5)
    assert how["groups"] == ["commit"]
    _, how = train_clusters(made({"commit": ["c"] * 80}, {"commit": ["d"]}), 5)
    assert how == {"near_duplicates_from": 0.7}


def test_test_functions_of_a_commit_are_one_cluster_with_their_near_duplicates() -> None:
    data = made({"commit": ["a", "b"]}, {"commit": ["c", "c", "d", None, None]})
    texts = data.splits["test"].sources.to_pylist()
    # The third is a copy of the fourth.
    texts[3] = texts[2]
    test = replace(data.splits["test"], sources=pa.array(texts, pa.large_string()))
    data = replace(data, splits={**data.splits, "test": test})
    first, second, third, fourth, fifth = duplicates_of_test(data, 0.7).clusters.tolist()
    assert first == second
    assert third == fourth
    assert len({first, third, fifth}) == 3


def test_projects_are_drawn_whole_where_test_has_many_that_train_lacks() -> None:
    assert list(groups_of_test(of_projects(60, "q"))) == ["project", "commit"]
    assert len(np.unique(duplicates_of_test(of_projects(60, "q"), 0.7).clusters)) == 30
    assert list(groups_of_test(of_projects(58, "q"))) == ["commit"]
    assert list(groups_of_test(of_projects(60, "p"))) == ["commit"]


def test_without_groups_near_duplicates_alone_count() -> None:
    data = made({"date": ["2019"] * 4}, {"date": ["2019"]})
    assert groups_of_folds(data) == groups_of_test(data) == {}
