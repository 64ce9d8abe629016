from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.colab_machine import REPOSITORY, ColabMachine, NoContentError, lab_environment
from tests.browser.harness import CHROMIUM, JupyterLab, open_browser

BESIDE_PYTHON = Path(sys.executable).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("browser")
    group.addoption(
        "--kernel-python",
        default=sys.executable,
        help="the python that runs the notebook's kernel, such as one with older packages",
    )
    group.addoption(
        "--jupyter-lab",
        default=str(BESIDE_PYTHON / "jupyter-lab"),
        help="the jupyter-lab to test in",
    )


@pytest.fixture(scope="session")
def machine(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[ColabMachine]:
    folder = tmp_path_factory.mktemp("machine")
    try:
        machine = ColabMachine(folder, kernel_python=pytestconfig.getoption("--kernel-python"))
    except NoContentError as error:
        pytest.skip(str(error))
    yield machine
    machine.close()


@pytest.fixture(scope="session")
def lab(
    machine: ColabMachine, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[JupyterLab]:
    folder = tmp_path_factory.mktemp("notebooks")
    executable = pytestconfig.getoption("--jupyter-lab")
    with JupyterLab(folder, executable=executable, environment=lab_environment(machine)) as lab:
        yield lab


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.is_file():
        pytest.skip(f"{CHROMIUM} is absent: `make test-browser` installs it.")
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def screenshots() -> Path:
    return REPOSITORY / "build" / "screenshots"
