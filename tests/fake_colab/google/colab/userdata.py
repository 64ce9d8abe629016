"""Secrets, from the environment variable FAKE_SECRETS: a JSON object of names and values.

A value of null is a secret that the notebook has no access to.
"""

import json
import os


class NotebookAccessError(Exception):
    """The notebook has no access to the secret."""

    def __init__(self, key):
        super().__init__(f"Notebook does not have access to secret {key}")


class SecretNotFoundError(Exception):
    """There is no such secret."""

    def __init__(self, key):
        super().__init__(f"Secret {key} does not exist.")


class TimeoutException(Exception):  # noqa: N818 - the real one's name
    """The question was not answered in time: no browser is connected to the kernel."""

    def __init__(self, key):
        super().__init__(
            f"Requesting secret {key} timed out. Secrets can only be fetched when running from "
            "the Colab UI."
        )


def get(key):
    """Return a secret's value."""
    secrets = json.loads(os.environ.get("FAKE_SECRETS", "{}"))
    if key not in secrets:
        raise SecretNotFoundError(key)
    if secrets[key] is None:
        raise NotebookAccessError(key)
    return secrets[key]
