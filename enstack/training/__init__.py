"""One base model in training: the loop, its state, resume, saves."""
