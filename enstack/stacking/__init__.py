"""From base models' probabilities to the leaderboard."""
