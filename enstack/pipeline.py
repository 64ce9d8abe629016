"""Stages in order; a stage whose manifest still matches is skipped, and says so."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from enstack import __version__
from enstack.base_model_stage import BaseModelStage, base_model_stages, chance_of, parts_of
from enstack.brought_run import bring_run
from enstack.config import RunConfig
from enstack.counting import counted
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import SplitPlan
from enstack.data.packed_caches import bring_caches
from enstack.errors import CheckpointError, ConfigError, DataError, EnstackError, Interrupted
from enstack.inputs import base_model, require_configuration, with_its_data
from enstack.progress.bars import Bar
from enstack.progress.say import say
from enstack.progress.screen import warn
from enstack.progress.session_end import require_time, session_of
from enstack.progress.stopping import KEPT, end_scripts_when_interrupted, ended_by_signals
from enstack.reporting.leaderboard import leaderboard_text, read_leaderboard_frame
from enstack.reporting.seeds import seeds_text, summarize_seeds
from enstack.reporting.stage import report_stage
from enstack.reporting.verdict import read_verdict, verdict_text
from enstack.run_end import log_end
from enstack.run_folder import RunFolder
from enstack.run_place import alone_in, own_run_folder
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
from enstack.storage.manifest import read_manifest
from enstack.storage.software import machine, software
from enstack.training.tensorboard import report_curves

# For annotations alone: a finished run is shown again without loading torch.
if TYPE_CHECKING:
    import pandas as pd

    from enstack.models.base_models import BaseModel


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
    hours = None if config.session_hours == "none" else config.session_hours
    with session_of(hours):
        return _run_every_seed(config, announce=announce, added=added)


def _run_every_seed(config: RunConfig, *, announce: bool, added: Added | None) -> RunResults:
    results = _run_one_seed(config, announce=announce, added=added)
    if not config.of_other_seeds():
        return results
    refused = _run_other_seeds(config, added)
    with alone_in(config):
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
    try:
        with own_run_folder(config) as run:
            return _run_stages(config, run, announce=announce, added=added)
    # A signal where no batch boundary grants it; in a notebook, a third one.
    except KeyboardInterrupt:
        raise Interrupted(KEPT) from None


def begin_run(config: RunConfig, run: RunFolder) -> tuple[RunConfig, VulnerabilityData, SplitPlan]:
    """The configuration with what the run folder decides, its data, and how that is divided.

    Refuses what does not fit to the run that lies there; records nothing. A run that resume_from
    names is brought there first.
    """
    # Before anything else is made of what lies there.
    refuse_foreign_files(run)
    refuse_unwanted_resume(config, run)
    config = bring_run(config, run)
    refuse_a_model_twice(config, run)
    if run.has_trained():
        config = config.going_on(stored_settings(run)[0])
    bring_caches(run.prepared, Path(config.local_dir))
    config, data = with_its_data(config)
    # After the data is read, whose fingerprint is compared too; before anything is recorded.
    refuse_other_run(config, data, run)
    # Before any training: validation functions that can fit no stack are refused here.
    return config, data, plan_of_run(config, data, run)


def _run_stages(
    config: RunConfig, run: RunFolder, *, announce: bool, added: Added | None
) -> RunResults:
    if not read_manifest(run.stacking.path):
        # torch takes seconds to load: a run that is finished does without it.
        from enstack.models.hardware import require_kernels

        require_kernels()  # reading and tokenizing may take an hour
    config, data, plan = begin_run(config, run)
    if added is not None:
        stages = base_model_stages(data, plan, config, run)
        unfinished = {one.name: why for one in stages if (why := one.unfinished_for())}
        added.keep_in(run, data, plan, config, unfinished)
    run.log(
        "run_started",
        base_models=config.base_models,
        software=software(__version__),
        machine=machine(),
    )
    try:
        _train_stack_report(config, data, plan, run, announce=announce)
    except (EnstackError, KeyboardInterrupt) as error:
        log_end(run, "run_stopped", reason=type(error).__name__, message=str(error))
        raise
    log_end(run, "run_finished")
    say("\n" + leaderboard_text(run.path))
    say(f"📄 Report: {run.report_page}")
    verdict = read_verdict(run.stacking.verdict)
    if verdict is not None:
        say(verdict_text(verdict))
    board = read_leaderboard_frame(run.stacking.leaderboard)
    return RunResults(run.path, run.report_page, board, verdict)


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
    parts = parts_of(stages, unfinished, config)
    with Bar(len(parts), "Pipeline", unit="stage", level="pipeline", parts=parts) as bar:
        for stage in stages:
            if stage.name in unfinished:
                require_time(stage.name)
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
    from enstack.training.stage import require_base_models

    wanted = {stage.name: base_model(stage.name, stage.model, config) for stage in unfinished}
    require_base_models(list(wanted.values()), data, plan, config, run)
    if plan.fold_of is not None or config.session_hours != "none":
        from enstack.training.run_plan import tell_plan

        tell_plan(list(wanted.values()), data, config, run)
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
