"""Whole runs of a tiny model in one process or several, with notes of what each has computed."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

BATCH, EPOCHS, PACE = 6, 4, "ENSTACK_SWEEP_PACE"  # PACE: seconds that a batch takes at least
SETTINGS = {
    "label_mode": "cwe_or_clean",
    "epochs": EPOCHS,
    "batch_size": BATCH,
    "accumulation_steps": 2,
    "save_steps": 2,
    "max_length": 64,
    "learning_rate": 0.001,
    "precision": "fp32",
    "num_workers": 0,
    "meta_classifiers": ["lr"],
}
Row = tuple[str, str, bool]


def worker(notes: str, command: list[str]) -> None:
    """`enstack COMMAND`, with a note of each function that this process trains."""
    from enstack.cli import main
    from enstack.training import step

    original, place = step.own_share, Path(notes) / f"{os.environ.get('RANK', '0')}.jsonl"

    def noted(batch: Any, hardware: Any) -> Any:
        time.sleep(float(os.environ.get(PACE, "0")))
        own, counts = original(batch, hardware)
        rows = zip(own["input_ids"].tolist(), own["attention_mask"].tolist(), strict=True)
        texts = [str([i for i, m in zip(*row, strict=True) if m]) for row in rows if counts]
        digests = [hashlib.sha256(text.encode()).hexdigest()[:12] for text in texts]
        with place.open("a") as file:
            file.write(json.dumps(digests) + "\n")
        return own, counts

    step.own_share = noted
    sys.argv = ["enstack", *command]
    main()


class Trial:
    """What is trained, and the folder in which runs of it lie.

    module: whose worker runs it. settings: of a run, by its name, beside SETTINGS.
    """

    module = "tests.support.trials"

    def __init__(self, folder: Path, dropout: float = 0.0) -> None:
        from enstack.data.functions import read_data
        from enstack.storage.json_text import json_text
        from tests.support.micro import write_micro_data, write_micro_model

        self.folder, self.settings = folder, defaultdict[str, list[str]](list)
        folder.mkdir(exist_ok=True)
        write_micro_data(folder / "data")
        data = read_data(folder / "data", label_mode="cwe_or_clean")
        write_micro_model(folder / "micro", data)
        parts = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
        drops = dict.fromkeys(parts, dropout)
        path = folder / "micro" / "config.json"
        path.write_text(json_text({**json.loads(path.read_text()), **drops}))
        places = {"data_dir": str(folder / "data"), "base_models": [str(folder / "micro")]}
        (folder / "run.json").write_text(json_text({**SETTINGS, **places}))

    def command(self, name: str) -> list[str]:
        """What a process is started with, after `python`."""
        notes = self.folder / f"{name}-notes"
        notes.mkdir(exist_ok=True)
        places = [f"run_dir={self.folder / name}", f"local_dir={self.folder / name}-scratch"]
        run = ["run", str(self.folder / "run.json"), *places, *self.settings[name]]
        return ["-m", self.module, "--worker", str(notes), *run]

    def losses(self, name: str) -> list[float]:
        """Of every logged step and epoch."""
        lines = (self.folder / name / "base_models/micro/history.jsonl").read_text().splitlines()
        return [one.get("train_loss") or one.get("loss") for one in map(json.loads, lines)]

    def batches(self, name: str) -> list[list[str]]:
        """The functions of each batch, whichever process has computed them."""
        found: dict[int, list[str]] = defaultdict(list)
        for path in (self.folder / f"{name}-notes").iterdir():
            for number, line in enumerate(path.read_text().splitlines()):
                found[number] += json.loads(line)
        return [sorted(found[number]) for number in sorted(found)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(trial: Trial, name: str, size: int, **more: str) -> list[subprocess.Popen[str]]:
    """Processes by rank, as a launcher starts them, but with none that would end them."""
    port = str(free_port())
    of_all = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [sys.executable, *trial.command(name)],
            env={**os.environ, **(of_all if size > 1 else {}), "RANK": str(rank), **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(size)
    ]


def ended(processes: list[subprocess.Popen[str]], seconds: float) -> list[tuple[int | None, str]]:
    """The exit status, None where it had to be killed, and the output of each."""
    until, found = time.monotonic() + seconds, []
    for one in processes:
        try:
            output = one.communicate(timeout=max(1, until - time.monotonic()))[0]
            found.append((one.returncode, output))
        except subprocess.TimeoutExpired:
            one.kill()
            found.append((None, one.communicate()[0]))
    return found


def last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if "enstack: " in line]
    return lines[-1] if lines else (output.splitlines() or [""])[-1]


def whole(trial: Trial, name: str, size: int) -> list[tuple[int | None, str]]:
    return ended(started(trial, name, size), 900)


if __name__ == "__main__":
    worker(sys.argv[2], sys.argv[3:])
