"""What a script imports: each command of the command line as one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enstack.errors import CheckpointError, ConfigError
from enstack.model_api import export as export
from enstack.model_api import load as load
from enstack.model_api import push as push
from enstack.model_api import scan as scan
from enstack.paths import named_folder

# Each call imports what it needs itself, so that `import enstack` takes no time.
if TYPE_CHECKING:
    from enstack.auditing.content import Audit
    from enstack.checkpoints.inspection_text import Verdict
    from enstack.cleaning import Cleaning
    from enstack.config import RunConfig
    from enstack.pipeline import RunResults
    from enstack.planning.status import Status
    from enstack.preparation import Prepared
    from enstack.reporting.run_comparison import RunComparison


def configure(**fields: Any) -> RunConfig:
    """Check settings, print what was set, and return the configuration of a run.

    fields: the keys of RunConfig, in upper case as in the notebook's form or in lower case. Raises
    ConfigError, which lists every fault.
    """
    from enstack.config import configure as checked

    return checked(**fields)


def run(config: RunConfig, *, announce: bool = False) -> RunResults:
    """The whole pipeline: data, base models, stacks, report; the same call again goes on.

    announce: print the settings, once nothing speaks against them. In a notebook a panel shows how
    things stand. The results have `.leaderboard` (a DataFrame, best row first), `.verdict`
    (prints as a sentence), `.report` (the page) and `.run_dir`.
    """
    from enstack.inputs import require_configuration
    from enstack.pipeline import run_pipeline
    from enstack.progress.panel import screen_of_run
    from enstack.run_in_processes import run_in_processes, wants_processes
    from enstack.several_processes import in_processes

    require_configuration(config)  # a panel for a run that can't begin would only confuse
    with in_processes(), screen_of_run():
        if wants_processes(config):
            return run_in_processes(config, announce=announce)
        return run_pipeline(config, announce=announce)


def prepare(config: RunConfig) -> Prepared:
    """All of a run that needs no GPU, packed into its run_dir: a run then trains at once.

    `.bytes` of caches, `.models` with the tokens of each and the hours that GPUs would take,
    computed. Trains nothing.
    """
    from enstack.preparation import prepare as prepare_run

    return prepare_run(config)


def stack(
    run_dir: str | Path,
    add: Mapping[str, str | Path] | None = None,
    *,
    unseen: bool = False,
) -> RunResults:
    """Stack a run again, with the probabilities of models that were trained elsewhere.

    add: a file for each name (parquet or csv with id and a column for each class, or npz), or a
    folder of such files; they are copied into the run, and every later start stacks them too.
    unseen: your word that none has seen functions that it is stacked or measured on, for files
    without a column seen. Nothing is trained.
    """
    from enstack.pipeline import stack_again
    from enstack.progress.panel import screen_of_run
    from enstack.stacking.added import Added

    files = {str(name): named_folder(place) for name, place in (add or {}).items()}
    with screen_of_run():
        return stack_again(named_folder(run_dir), Added(files, unseen))


def inspect(path: str | Path) -> Verdict:
    """Whether a checkpoint or run folder is whole, and from where training will go on.

    Of a run its probabilities, stacks, verdict and report are held against their digests too. Reads
    only. `.valid`, `.problems`, `.to_json()`. Raises CheckpointError for a folder without any
    checkpoint.
    """
    from enstack.checkpoints.inspection import inspect_path
    from enstack.run_folder import RunFolder
    from enstack.verify_run import result_faults

    verdict = inspect_path(folder := named_folder(path))
    return verdict.beside(*result_faults(RunFolder(folder)))


def status(run_dir: str | Path) -> Status:
    """How far a run is: epochs done, hours and sessions left, and the ledger of its sessions.

    Reads only, while the run trains too. Raises CheckpointError for a folder without a run.
    """
    from enstack.planning.status import status_of
    from enstack.run_folder import RunFolder

    return status_of(RunFolder(named_folder(run_dir)))


def audit(folder: str | Path, *, tokenizers: Sequence[str] = (), **settings: Any) -> Audit:
    """What is in a folder of data, or in "toy": classes, lengths, duplicates, what words tell.

    tokenizers: base models whose tokens are counted. settings: such as label_mode (`auto` leaves no
    clean function out here), split_by, max_length, local_dir. Raises DataError for data that can't
    be used.
    """
    from enstack.auditing.measures import audit as measure
    from enstack.config import RunConfig

    if "data_dir" in map(str.lower, settings):
        raise ConfigError("The data must be named once, as the first argument; leave data_dir out.")
    names = tokenizers.split(",") if isinstance(tokenizers, str) else tokenizers
    if not isinstance(names, Sequence) or not all(isinstance(n, str | Path) for n in names):
        raise ConfigError(f"tokenizers must be a list of base models, found {tokenizers!r:.80}.")
    config = RunConfig(data_dir=folder, **settings)
    return measure(config, [str(name).strip() for name in names])


def report(run_dir: str | Path) -> Path:
    """Write a run's report again from what is stored, and return its page.

    Raises CheckpointError where something that it shows is missing or damaged.
    """
    from enstack.reporting.stage import rewrite_report

    folder = named_folder(run_dir)
    try:
        return rewrite_report(folder)
    except OSError as error:
        raise CheckpointError(
            f"The report must be written into {folder}: {error.strerror or error} "
            f"({error.filename})."
        ) from error


def compare(runs: Sequence[str | Path]) -> RunComparison:
    """Put two or more finished runs side by side, in the order that they are given in.

    The result has `.runs`, `.settings` (those that differ) and `.pairs`: the chosen models on the
    same test functions, with difference, interval and p; all of it explored, for nobody declared
    it. Raises ConfigError for fewer than two runs and for one named twice, CheckpointError for one
    that is missing, unfinished or damaged.
    """
    from enstack.reporting.run_comparison import compare_runs

    if isinstance(runs, str | Path):
        raise ConfigError(f"Runs must be a list of two run folders or more, found {str(runs)!r}.")
    return compare_runs([named_folder(one) for one in runs])


def init(path: str | Path = "enstack.yaml") -> Path:
    """Write a commented configuration, which sets toy data alone, and return its path.

    Raises ConfigError where there is a file already.
    """
    from enstack.config.template import write_template

    return write_template(path)


def doctor(run_dir: str | Path | None = None) -> None:
    """Print what this machine computes with, and what a report of a fault needs.

    run_dir: a run whose last events are printed too. Raises CheckpointError where it is no folder,
    ConfigError where the GPU can't be used.
    """
    from enstack.notebook.cells import show_hardware
    from enstack.notebook.fault_report import show_events, show_machine

    try:
        show_hardware()
    finally:  # a GPU that can't be used is a fault to report
        show_machine(Path.cwd(), Path.home())
    if run_dir is not None:
        show_events(folder := named_folder(run_dir))
        # Last, for the machine may be what is wrong.
        if not folder.is_dir():
            raise CheckpointError(f"A run is a folder; {folder} is none. Name a run folder.")


def write_toy(folder: str | Path, vdisc: int | None = None, seed: int = 42) -> Path:
    """Write made-up data into a folder without any, and return the folder.

    vdisc: so many functions in the shape of Draper VDISC. Raises ConfigError for a folder that
    holds data, or can't be written to.
    """
    from enstack.toy.folder import write_toy as write

    return write(named_folder(folder), vdisc, seed)


def clean(local_dir: str | Path | None = None, *, yes: bool = False) -> Cleaning:
    """What the scratch disk keeps that no run needs; with yes=True it is removed.

    local_dir: as in a run, ~/.cache/enstack if left out. The result has `.removable`, `.kept` with
    reasons, `.size` in bytes and `.text()`. What a running process uses is kept, and so are
    checkpoints that run_dir does not hold yet. Raises ConfigError for a folder that is not there.
    """
    from enstack.cleaning import look
    from enstack.config import RunConfig

    named = {} if local_dir is None else {"local_dir": str(local_dir)}
    place = Path(RunConfig(**named).local_dir)
    # The default comes with the first run; any other that is not there is a slip.
    if named and not place.is_dir():
        kind = "a file" if place.exists() else "no folder"
        raise ConfigError(
            f"local_dir must be the scratch disk of a run, {place} is {kind}. Nothing was removed."
        )
    found = look(place)
    if yes:
        found.remove()
    return found
