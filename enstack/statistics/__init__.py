"""How sure a figure or a difference is: resampling, paired tests, power; without torch."""
