"""Bundles on the Hugging Face hub: fetched, file by file as their manifest lists, and pushed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from enstack.bundle.folder import BUNDLE, is_bundle, listed_files, require_whole_bundle
from enstack.errors import CheckpointError, ConfigError
from enstack.progress.say import say
from enstack.storage.manifest import MANIFEST

__all__ = ["downloaded_bundle", "is_hub_id", "model_place", "push_bundle"]

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
OF_THE_HUB = {".gitattributes"}  # what lies in a repository that is new
TOKEN = "Log in with `hf auth login`, or set HF_TOKEN"


def is_hub_id(place: str | Path) -> bool:
    """Whether a place that is not there may be a model of the hub: owner/name."""
    return HUB_ID.fullmatch(str(place)) is not None


def model_place(asked: str | Path, folder: Path) -> Path:
    """The folder of a run or bundle, or where it is none and may be a hub id, that one fetched."""
    return downloaded_bundle(str(asked)) if is_hub_id(asked) and not folder.exists() else folder


def downloaded_bundle(repo_id: str) -> Path:
    """The folder of a bundle out of the hub's cache, fetched as far as it is not there yet.

    Only what a bundle's manifest lists is fetched. Raises CheckpointError where there is no such
    model, none that is a bundle, or no way to the hub.
    """
    from huggingface_hub import snapshot_download

    with _explained(f"{repo_id} is no folder here, and can't be fetched from the hub"):
        first = Path(snapshot_download(repo_id, allow_patterns=[MANIFEST, BUNDLE]))
        if not is_bundle(first):
            raise CheckpointError(
                f"{repo_id} on the hub must be a bundle of enstack, it has no {BUNDLE}. Name a run "
                "folder, a bundle, or the hub id of a bundle."
            )
        names = [MANIFEST, *listed_files(first)]
        # Of the commit whose manifest was read: another one may come meanwhile.
        return Path(snapshot_download(repo_id, revision=first.name, allow_patterns=names))


def push_bundle(folder: Path, repo_id: str, *, public: bool = False) -> str:
    """Push a whole bundle to the hub in one commit, and return its page.

    public: of a repository that is new; else only its owner sees it. Raises ConfigError without a
    token, and for a repository that holds something else.
    """
    from huggingface_hub import HfApi, get_token

    if not is_hub_id(repo_id):
        raise ConfigError(f"A place on the hub must be owner/name, found {repo_id!r:.80}.")
    require_whole_bundle(folder)
    if get_token() is None:
        raise ConfigError(f"Pushing to the hub needs a token, and there is none. {TOKEN}.")
    api, names = HfApi(), [MANIFEST, *listed_files(folder)]
    with _explained(f"{folder} can't be pushed to {repo_id}"):
        api.create_repo(repo_id, private=not public, exist_ok=True)
        there = {*api.list_repo_files(repo_id)}
        if BUNDLE not in there and there - OF_THE_HUB:
            raise ConfigError(
                f"{repo_id} must be new, empty or an earlier bundle, it holds "
                f"{min(there - OF_THE_HUB)}. Name another repository."
            )
        say(f"▶ Pushing {folder.name} to {repo_id}")
        api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            allow_patterns=names,
            # Of an earlier bundle: what is pushed stays all the same.
            delete_patterns=["base_models/*", "*.skops"],
            commit_message="A bundle of enstack",
        )
    return f"{api.endpoint}/{repo_id}"


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn the hub's many errors into one line that says what to do."""
    import httpx
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise CheckpointError(f"{what}: its owner must grant access. {TOKEN}.") from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            f"{what}: it has none of that name, or yours may not see it. {TOKEN} if it is private."
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise CheckpointError(f"{what}: the hub can't be reached. Go online, and again.") from error
    except (errors.HfHubHTTPError, errors.OfflineModeIsEnabled, httpx.HTTPError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{what}: {reason}.") from error
