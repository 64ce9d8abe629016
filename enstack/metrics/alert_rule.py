"""When a function is alerted, and for which class: thresholds of calibrated probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from enstack.metrics.flags import best_thresholds
from enstack.metrics.label_task import CLEAN, SMALLEST, LabelTask
from enstack.metrics.temperature import tempered

__all__ = ["AlertRule"]


@dataclass(frozen=True, eq=False)
class AlertRule:
    """From which calibrated probability on a class, or flag, is alerted.

    thresholds: (k,) float64; that of the clean class is not asked. None: no threshold could be
    chosen, and the class with the highest probability is alerted, unless it is the clean one.
    """

    task: LabelTask
    thresholds: np.ndarray | None

    @classmethod
    def chosen_on(cls, labels: np.ndarray, probabilities: np.ndarray, task: LabelTask) -> AlertRule:
        """The rule whose thresholds have the best F1 of each class on labelled rows.

        probabilities: (n, k), calibrated.
        """
        return cls(task, best_thresholds(task.has_class(labels), probabilities))

    @classmethod
    def at_temperature(
        cls, thresholds: np.ndarray, temperature: float, task: LabelTask
    ) -> AlertRule:
        """The rule of thresholds (k,) that were chosen before calibration; of flags alone."""
        # In the type of probabilities, or a row that lies on its threshold would fall below it.
        given = thresholds[None, :].astype(np.float32)
        return cls(task, tempered(given, temperature, task)[0].astype(np.float64))

    @property
    def asked(self) -> np.ndarray:
        """Which classes can be alerted: (k,) bool, all but the clean one."""
        return np.array([name != CLEAN for name in self.task.class_names])

    @property
    def tells_clean(self) -> bool:
        """Whether the model can say that a function is clean."""
        return self.task.has_thresholds or not self.asked.all()

    def margins(self, probabilities: np.ndarray) -> np.ndarray:
        """How far each class lies above its threshold, in log-odds: (n, k) float64.

        From 0 on it is reached; minus infinity for the clean class. Without thresholds, how far it
        lies above the highest other class.
        """
        odds = _log_odds(probabilities)
        if self.thresholds is not None:
            above = odds - _log_odds(self.thresholds)
        else:
            # Of equal ones the first is the highest, as the models decide.
            order = np.argsort(-probabilities, axis=1, kind="stable")
            rows = np.arange(len(odds))
            first, second = odds[rows, order[:, 0]], odds[rows, order[:, 1]]
            above = np.minimum(odds - first[:, None], -SMALLEST)
            above[rows, order[:, 0]] = first - second
        return np.where(self.asked, above, -np.inf)

    def alerts(self, probabilities: np.ndarray) -> np.ndarray:
        """Which classes of each row are alerted: (n, k) bool; of one class a row, the clearest."""
        margins = self.margins(probabilities)
        reached = margins >= 0
        if self.task.has_thresholds:
            return reached
        clearest = margins.argmax(axis=1)[:, None] == np.arange(margins.shape[1])
        return np.asarray(reached & clearest)

    def scores(self, probabilities: np.ndarray) -> np.ndarray:
        """By what functions are put in order: (n,) float64, of being vulnerable, where it is told.

        Else the highest probability of any class.
        """
        vulnerable = self.task.vulnerability(probabilities)
        return self.task.confidence(probabilities, None) if vulnerable is None else vulnerable


def _log_odds(shares: np.ndarray) -> np.ndarray:
    odds: np.ndarray = logit(np.clip(shares.astype(np.float64), SMALLEST, 1 - SMALLEST))
    return odds
