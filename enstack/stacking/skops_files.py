"""Fitted models in .skops files: of known types alone, and only where they answer as when saved.

skops is imported where it is used: it imports every module of scikit-learn, one of them torch.
"""

from __future__ import annotations

import inspect
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import sklearn
import xgboost
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning

from enstack.errors import CheckpointError
from enstack.storage.files import write_bytes

__all__ = ["SkopsFile"]

# What our files hold beyond the types that skops trusts by itself. XGBoost's trees are stored in
# its own format, which outlives its versions, so none of its types is needed.
ALLOWED_TYPES = frozenset(
    {
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.tree._tree.Tree",
    }
)
PROBE_TOLERANCE = 1e-5
Model = TypeVar("Model")


@dataclass(frozen=True)
class SkopsFile:
    """A kind of file: what it is, for people; which values it holds, by name.

    optional: of these, what older files lack.
    """

    kind: str
    keys: frozenset[str]
    optional: frozenset[str] = frozenset()

    def write(self, path: Path, content: dict[str, Any], probed: np.ndarray) -> None:
        """Write values, and what the model of them says of fixed inputs (any shape)."""
        import skops.io

        values = {**content, "probe": np.asarray(probed, np.float64), "made_with": _versions()}
        write_bytes(path, skops.io.dumps(values, compression=zipfile.ZIP_DEFLATED))

    def read(
        self,
        path: Path,
        make: Callable[[dict[str, Any]], Model],
        probe: Callable[[Model], np.ndarray],
    ) -> Model:
        """The model that is made of a file's values, saved under this scikit-learn or another.

        Raises CheckpointError when the file is damaged, holds a type that our files never hold, or
        gives other probabilities here than where it was saved.
        """
        try:
            content = self._content(Path(path))
            _add_defaults(content)
            model = make(content)
        except CheckpointError:
            raise
        except Exception as error:  # a damaged file fails anywhere between zip and native code
            raise CheckpointError(
                f"{path} must be {self.kind} saved by enstack, it can't be read "
                f"({_first_line(error)}). Fit it again."
            ) from error
        _require_same(path, content, lambda: probe(model))
        return model

    def _content(self, path: Path) -> dict[str, Any]:
        """The stored values, once every type in the file is known to be one of ours."""
        import skops.io

        data = path.read_bytes()
        # Before anything is loaded: a type from elsewhere could run code as it is built.
        foreign = sorted(set(skops.io.get_untrusted_types(data=data)) - ALLOWED_TYPES)
        if foreign:
            raise CheckpointError(
                f"{path} must hold only the types of {self.kind}, found {', '.join(foreign)}: it "
                "was not loaded. Use files that you trust, or fit it again."
            )
        with warnings.catch_warnings():
            # The probe tells better than a version number whether it still works.
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            content = skops.io.loads(data, trusted=sorted(ALLOWED_TYPES))
        every = self.keys | {"probe", "made_with"}
        if not isinstance(content, dict) or set(content) | self.optional != every:
            raise CheckpointError(f"{path} must be {self.kind} saved by enstack, it is not one.")
        return content


def _add_defaults(value: Any) -> None:
    """Give estimators of newer versions the settings that this version asks for, at its defaults.

    Since 1.7 logistic regression has no multi_class, which 1.6 reads; what the model says is
    compared afterwards in any case.
    """
    if isinstance(value, BaseEstimator):
        for name, setting in inspect.signature(type(value)).parameters.items():
            if setting.default is not setting.empty and not hasattr(value, name):
                setattr(value, name, setting.default)
        value = vars(value)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            _add_defaults(one)


def _require_same(path: Path, content: dict[str, Any], probe: Callable[[], np.ndarray]) -> None:
    """Whether it still works under the installed versions: newer files may not under old ones."""
    try:
        # Tried, not told by version: most files of another scikit-learn answer as before.
        change = float(np.abs(probe() - content["probe"]).max())
        problem = "" if change <= PROBE_TOLERANCE else f"they differ by {change:.2g}"
    except Exception as error:  # estimators of other versions lack attributes, fail anywhere
        problem = _first_line(error)
    if problem:
        raise CheckpointError(
            f"{path} must give the probabilities that it gave when it was saved: {problem}.\n"
            f"It was saved under {content['made_with']}, here is {_versions()}: "
            "install those, or fit it again."
        )


def _versions() -> str:
    return f"scikit-learn {sklearn.__version__}, xgboost {xgboost.__version__}"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
