"""Which warnings fail a test: all but deprecations that other code is told of."""

from __future__ import annotations

import warnings

import pytest

DEPRECATIONS = (DeprecationWarning, PendingDeprecationWarning)


@pytest.mark.parametrize("category", DEPRECATIONS)
@pytest.mark.parametrize(
    "module", ["jupyter_client.session", "asyncio.events", "matplotlib.enstack"]
)
def test_a_deprecation_in_other_code_fails_no_test(category: type[Warning], module: str) -> None:
    warnings.warn_explicit("old", category, "file.py", 1, module=module)


@pytest.mark.parametrize("category", DEPRECATIONS)
@pytest.mark.parametrize("module", ["enstack", "enstack.models.tokens", "tests.support.kernels"])
def test_a_deprecation_in_our_own_lines_fails_the_test(
    category: type[Warning], module: str
) -> None:
    with pytest.raises(category, match="old"):
        warnings.warn_explicit("old", category, "file.py", 1, module=module)


@pytest.mark.parametrize("category", [UserWarning, RuntimeWarning, FutureWarning, ResourceWarning])
def test_any_other_warning_fails_the_test_wherever_it_is_told(category: type[Warning]) -> None:
    with pytest.raises(category, match="wrong"):
        warnings.warn_explicit("wrong", category, "file.py", 1, module="sklearn.linear_model")
