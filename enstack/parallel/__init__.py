"""The processes of a run: how they find each other, talk, and notice that one is gone."""
