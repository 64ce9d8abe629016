"""Which functions are alike, and which test functions train has too."""
