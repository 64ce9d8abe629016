"""A stand-in for google.colab: its names, signatures, messages and refusals, without Google.

`google` stays a namespace package, as in Colab, where other packages lie in it too.
"""

from google.colab import drive, userdata

__all__ = ["drive", "userdata"]
