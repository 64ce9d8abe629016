"""From a run folder to its report: one page, one JSON file, pictures."""
