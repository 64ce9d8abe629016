"""Stages in order; a stage whose manifest still matches is skipped, and says so."""

from __future__ import annotations

import functools
from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enstack import __version__
from enstack.base_model_stage import BaseModelStage, base_model_stages, chance_of
from enstack.config import RunConfig
from enstack.counting import counted
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import SplitPlan
from enstack.errors import CheckpointError, ConfigError, DataError, EnstackError, Interrupted
from enstack.inputs import base_model, require_configuration, require_local_dir, with_its_data
from enstack.progress.bars import Bar
from enstack.progress.say import say
from enstack.progress.screen import Part, warn
from enstack.progress.stopping import KEPT, end_scripts_when_interrupted, ended_by_signals
from enstack.reporting.leaderboard import leaderboard_text, read_leaderboard_frame
from enstack.reporting.seeds import seeds_text, summarize_seeds
from enstack.reporting.stage import report_stage
from enstack.reporting.verdict import read_verdict, verdict_text
from enstack.run_folder import WRITTEN_INTO, RunFolder
from enstack.same_run import (
    plan_of_run,
    refuse_a_model_twice,
    refuse_foreign_files,
    refuse_other_run,
    refuse_unwanted_resume,
    stored_settings,
)
from enstack.stacking.added import Added
from enstack.stacking.stage import stack_base_models
from enstack.stacking.verdict_text import Verdict
from enstack.storage.caches import holding_caches
from enstack.storage.disks import fault_within, leaving_no_empty, only_one, require_writable
from enstack.storage.links import require_no_links
from enstack.storage.places import require_own_place
from enstack.storage.software import software
from enstack.training.tensorboard import report_curves

# For annotations alone: a finished run is shown again without loading torch.
if TYPE_CHECKING:
    import pandas as pd

    from enstack.models.base_models import BaseModel

END_SECONDS = 5.0  # for the record of a run's end, on storage that may hang


@dataclass(frozen=True)
class RunResults:
    """Where a run's results lie, its leaderboard, best row first, and what it shows of its stack.

    verdict: prints as one sentence; None where nothing was combined.
    """

    run_dir: Path
    report: Path
    leaderboard: pd.DataFrame
    verdict: Verdict | None


def stack_again(run_dir: Path, added: Added) -> RunResults:
    """Stack a run whose base models are trained, with models that are added to it; nothing trains.

    Raises CheckpointError for a folder without such a run, and what add_models raises.
    """
    settings = RunFolder(run_dir).settings()
    if not settings:
        raise CheckpointError(f"{run_dir} must hold a run, it has no config.json.")
    # The folder may have been moved since it was recorded.
    config = RunConfig(**{**settings, "run_dir": str(run_dir), "resume": True})
    return run_pipeline(config, added=added)


# Around all: until an error has left it, nothing breaks off what a stop has begun.
@ended_by_signals()
@holding_caches()
def run_pipeline(
    config: RunConfig, *, announce: bool = False, added: Added | None = None
) -> RunResults:
    """Data, base models, stacking, report: each stage is done once, and gone on with if stopped.

    announce: print the settings, once nothing speaks against them. added: models trained elsewhere;
    then no base model may be left to train. Under several seeds, all of this once for each.
    """
    require_configuration(config)
    results = _run_one_seed(config, announce=announce, added=added)
    if not config.of_other_seeds():
        return results
    refused = _run_other_seeds(config, added)
    with _alone_in(config):
        report_stage(RunFolder(results.run_dir))
    seeds = summarize_seeds(RunFolder(results.run_dir))
    if seeds is not None:
        say("\n" + seeds_text(seeds))
    if refused:
        seed, error = next(iter(refused.items()))
        but = counted(len(refused), "seed")
        raise type(error)(f"Stacked, but for {but}; seed {seed}: {error}") from error
    return results


def _run_other_seeds(config: RunConfig, added: Added | None) -> dict[int, EnstackError]:
    """Each further seed in its folder; stacked again, those that refused, and what they said."""
    refused, stacked = dict[int, EnstackError](), RunFolder(Path(config.run_dir)).other_seeds()
    for other in config.of_other_seeds():
        say(f"\n▶ Seed {other.seed}, the same run again in {other.run_dir}")
        if added is not None and other.seed not in stacked:
            warn(f"⚠️  Seed {other.seed} is not finished: nothing is stacked again there.")
            continue
        try:
            _run_one_seed(other, announce=False, added=added)
        except (CheckpointError, ConfigError, DataError) as error:
            # One seed's rows may be among what an added model has seen, and another's not.
            if added is None:
                raise
            refused[other.seed] = error
    return refused


def _run_one_seed(config: RunConfig, *, announce: bool, added: Added | None) -> RunResults:
    end_scripts_when_interrupted()
    run, local_dir = RunFolder(Path(config.run_dir)), Path(config.local_dir)
    try:
        require_own_place(run.path, "run_dir")
        # Before the folder is made, and before a lock is.
        require_local_dir(config)
        require_no_links(run.path, WRITTEN_INTO, "run_dir", CheckpointError)
        with leaving_no_empty(run.path):
            require_writable(run.path, "run_dir", CheckpointError)
            require_writable(local_dir, "local_dir", ConfigError)
            with _alone_in(config):
                return _run_stages(config, run, announce=announce, added=added)
    # A signal where no batch boundary grants it; in a notebook, a third one.
    except KeyboardInterrupt:
        raise Interrupted(KEPT) from None


def _alone_in(config: RunConfig) -> AbstractContextManager[None]:
    """Hold the lock of a run's folder."""
    # Not in run_dir: Drive's locks can't be relied on. Two machines there are not caught.
    locks, place = Path(config.local_dir) / "locks", str(Path(config.run_dir).resolve())
    return only_one(locks / config.run_key, f"run_dir {config.run_dir}", place)


def _run_stages(
    config: RunConfig, run: RunFolder, *, announce: bool, added: Added | None
) -> RunResults:
    # Before anything else is made of what lies there.
    refuse_foreign_files(run)
    refuse_unwanted_resume(config, run)
    refuse_a_model_twice(config, run)
    if run.has_trained():
        config = config.going_on(stored_settings(run)[0])
    config, data = with_its_data(config)
    # After the data is read, whose fingerprint is compared too; before anything is recorded.
    refuse_other_run(config, data, run)
    # Before any training: validation functions that can fit no stack are refused here.
    plan = plan_of_run(config, data, run)
    if added is not None:
        stages = base_model_stages(data, plan, config, run)
        unfinished = {one.name: why for one in stages if (why := one.unfinished_for())}
        added.keep_in(run, data, plan, config, unfinished)
    run.log("run_started", base_models=config.base_models, software=software(__version__))
    try:
        _train_stack_report(config, data, plan, run, announce=announce)
    except (EnstackError, KeyboardInterrupt) as error:
        _log_end(run, "run_stopped", reason=type(error).__name__, message=str(error))
        raise
    _log_end(run, "run_finished")
    say("\n" + leaderboard_text(run.path))
    say(f"📄 Report: {run.report_page}")
    verdict = read_verdict(run.stacking.verdict)
    if verdict is not None:
        say(verdict_text(verdict))
    board = read_leaderboard_frame(run.stacking.leaderboard)
    return RunResults(run.path, run.report_page, board, verdict)


def _log_end(run: RunFolder, event: str, **details: Any) -> None:
    """Record how a run ended, where run_dir takes it: an end neither waits for that nor fails."""
    fault = fault_within(END_SECONDS, functools.partial(run.log, event, **details))
    if fault is not None:
        say(f"⚠️  {run.events_file} can't be written ({fault}): the end of this run is not in it.")


def _train_stack_report(
    config: RunConfig, data: VulnerabilityData, plan: SplitPlan, run: RunFolder, *, announce: bool
) -> None:
    stages = base_model_stages(data, plan, config, run)
    unfinished = _base_models_to_train(stages, data, plan, config, run)

    kept, trained = run.kept_settings(config), list[str]()

    def record() -> None:
        # Where nothing is trained, the settings that did train stay.
        run.record(config, data, plan, kept={} if trained else kept)

    def begun(name: str, trains: bool) -> None:
        """Recorded when training begins, or all is done: a refused command changes no file."""
        if trains:
            trained.append(name)
            record()

    # Not before: what has been announced begins.
    # Where the form has announced the settings, what follows needs a head of its own.
    say((config.announcement() if announce else "▶ This run:\n") + config.places())
    parts = _parts([stage.name for stage in stages], unfinished, config)
    with Bar(len(parts), "Pipeline", unit="stage", level="pipeline", parts=parts) as bar:
        for stage in stages:
            _base_model_stage(stage, unfinished.get(stage.name), data, plan, config, run, begun)
            report_curves(stage.folder, run.tensorboard(stage.name), config)
            if stage.name in trained:
                run.record_truncation(stage.name)
            if told := chance_of(stage.name, stage.folder, data, plan):
                warn(f"⚠️  {told}")
            bar.advance()
        stack_base_models(data, plan, config, run)
        record()
        if kept and not trained:
            told = ", ".join(f"{key} stays {value}" for key, value in kept.items())
            say(f"   · Training is finished: {told}")
        for stage in stages:
            run.record_truncation(stage.name)
        bar.advance()
        report_stage(run)
        bar.advance()


def _parts(names: list[str], unfinished: Container[str], config: RunConfig) -> list[Part]:
    """The stages, with the epochs that each base model is to train, folds included."""
    trainings = 1 + (config.folds if config.meta_features == "out_of_fold" else 0)
    epochs = {name: config.epochs * trainings * (name in unfinished) for name in names}
    return [*(Part(*one) for one in epochs.items()), Part("stacking"), Part("report")]


def _base_models_to_train(
    stages: list[BaseModelStage],
    data: VulnerabilityData,
    plan: SplitPlan,
    config: RunConfig,
    run: RunFolder,
) -> dict[str, BaseModel]:
    """By name, those not finished; one that can't be loaded is refused before any is trained."""
    unfinished = [stage for stage in stages if not stage.finished()]
    if not unfinished:
        return {}
    # torch takes seconds to load: a run that is finished does without it.
    from enstack.training.stage import require_base_models

    wanted = {stage.name: base_model(stage.name, stage.model, config) for stage in unfinished}
    require_base_models(list(wanted.values()), data, plan, config, run)
    if plan.fold_of is not None:
        from enstack.training.run_time import tell_price_of_folds

        tell_price_of_folds(list(wanted.values()), data, config, run)
    return wanted


def _base_model_stage(
    stage: BaseModelStage,
    unfinished: BaseModel | None,
    data: VulnerabilityData,
    plan: SplitPlan,
    config: RunConfig,
    run: RunFolder,
    begun: Callable[[str, bool], None],
) -> None:
    """Fine-tune and predict; what is not unfinished is skipped.

    begun: told the name, and whether there is any training to do, when nothing is left that could
    refuse it.
    """
    if unfinished is None:
        how = stage.folder.stopped_early()
        say(f"✓ {stage.name}: finished before{f' ({how})' if how else ''}, skipped")
        for sentence in stage.damage():
            say(f"⚠️  {sentence}")
        return
    from enstack.training.stage import fine_tune_and_predict

    say(f"▶ {stage.name}: fine-tuning {stage.model}")
    fine_tune_and_predict(
        unfinished,
        data,
        plan,
        config,
        run,
        stage.made_from,
        stage.trained_with,
        functools.partial(begun, stage.name),
    )
    run.log("base_model_finished", base_model=stage.name)
