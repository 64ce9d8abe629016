"""From text to tokens to probabilities: base models, hardware, loader, prediction."""
