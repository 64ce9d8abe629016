"""Pure functions of labels and probabilities, without torch."""
