"""What a run has trained, as one model that judges new functions."""

from enstack.bundle.loading import load as load
from enstack.bundle.trained_model import FineTunedModel as FineTunedModel
from enstack.bundle.trained_model import TrainedModel as TrainedModel
