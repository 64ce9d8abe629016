"""`python -m enstack.launched_run FOLDER`: a run as torchrun starts it for `run_in_processes`."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from enstack.progress.stopping import process_ended_by_signals, stop_for_another

# From here on a signal ends the process in words; torch and the like are loaded after that.
if TYPE_CHECKING:
    from enstack.progress.feed import Feed

ASKED, FEED = "asked.json", "feed.jsonl"  # in FOLDER


@process_ended_by_signals()
def main() -> None:
    """Do the run that FOLDER asks for; the first process tells its feed what it shows and says."""
    folder = Path(sys.argv[1])
    if os.environ["RANK"] != "0":
        from enstack.several_processes import in_processes

        with in_processes():
            return
    threading.Thread(target=_stop_when_input_ends, name="input", daemon=True).start()
    from enstack.progress.feed import Feed

    with Feed(folder / FEED) as feed, _telling_faults(feed):
        _run(folder, feed)


def _run(folder: Path, feed: Feed) -> None:
    from enstack.config import RunConfig
    from enstack.pipeline import run_pipeline
    from enstack.progress.feed import FeedScreen, Said
    from enstack.progress.screen import shown_on
    from enstack.several_processes import in_processes
    from enstack.storage.json_text import parsed_json

    asked = parsed_json((folder / ASKED).read_bytes())
    with (
        contextlib.redirect_stdout(Said(feed)),
        shown_on(FeedScreen(feed)),
        in_processes(),
    ):
        run_pipeline(RunConfig(**asked["settings"]), announce=asked["announce"])


def _stop_when_input_ends() -> None:
    """Stop, saved, where the process that has asked for this run wants it, or is gone."""
    with contextlib.suppress(OSError):
        # It writes nothing: its end of the pipe is closed by itself, or with it.
        while os.read(0, 1):
            pass
    stop_for_another()


@contextlib.contextmanager
def _telling_faults(feed: Feed) -> Iterator[None]:
    """Tell an error, and end with its status."""
    from enstack.console import put_sentences
    from enstack.errors import EnstackError

    try:
        yield
    except EnstackError as error:
        feed.tell("failed", kind=type(error).__name__, message=str(error), trace="")
        # To the log too: where the feed can't be written, it is told from there.
        put_sentences(f"enstack: {error}", sys.stderr)
        sys.exit(error.exit_status)
    except Exception as error:
        trace = traceback.format_exc()
        feed.tell("failed", kind=type(error).__name__, message=str(error), trace=trace)
        raise


if __name__ == "__main__":
    main()
