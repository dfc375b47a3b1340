"""Kills (-9) of a worker that re-seals tokens, at random moments."""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from partner_connector.sealing.keyring import KeyringFile
from tests.rotation.subject import Subject
from tests.support.processes import worker_process

_LONGEST_AIM_SECONDS = 1.5
# With a smaller part left, the next kill would probably come too late.
_WORTH_A_KILL = 0.2
_ROTATED_AGAIN_IN_BETWEEN = 0.2
_DONE_WITHIN_SECONDS = 120.0


@dataclass(slots=True)
class Report:
    """Result of the campaign. `violations` are the promises that were broken."""

    database: str
    seed: int
    tokens: int
    kills: int = 0
    in_the_middle: int = 0
    """Kills between the first token of a rotation and its last."""
    rotations: int = 0
    compared: int = 0
    """Number of tokens that were opened and compared."""
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [
            f"kill -9 while tokens are re-sealed, on {self.database}, seed {self.seed}: "
            f"{self.kills} kills, {self.in_the_middle} in the middle of {self.rotations} rotations "
            f"of {self.tokens} tokens, {self.seconds:.0f} s",
            f"  tokens opened and compared: {self.compared}",
            f"  violations: {len(self.violations)}",
            *(f"    {one}" for one in self.violations[:20]),
        ]
        return "\n".join(lines)


def kill_resealing(
    directory: Path, database_url: str, *, kills: int, seed: int, partners: int
) -> Report:
    """Rotate, kill, compare every token and start again, until `kills` workers are dead.

    At the end one worker re-seals the rest, and only the current key is kept.
    """
    subject = Subject(directory, database_url, partners)
    report = Report(database_url.split(":", maxsplit=1)[0], seed, len(subject.plaintexts))
    dice, began = random.Random(seed), time.monotonic()  # noqa: S311 - repeatable, not secret
    while report.kills < kills:
        left = subject.left_to_do()
        if left < _WORTH_A_KILL * report.tokens or dice.random() < _ROTATED_AGAIN_IN_BETWEEN:
            subject.rotate()
            report.rotations += 1
        _kill_one(subject, report, dice)
    _let_one_finish(subject, report)
    report.seconds = time.monotonic() - began
    return report


def _kill_one(subject: Subject, report: Report, dice: random.Random) -> None:
    before = subject.left_to_do()
    name = f"worker-{report.kills}"
    with worker_process(subject.settings, subject.directory, name) as worker:
        time.sleep(dice.uniform(0.0, _LONGEST_AIM_SECONDS))
        worker.kill()
    report.kills += 1
    report.in_the_middle += 0 < subject.left_to_do() < before
    _judge(subject, report, f"after kill {report.kills}", subject.ring)


def _let_one_finish(subject: Subject, report: Report) -> None:
    with worker_process(subject.settings, subject.directory, "worker-last"):
        deadline = time.monotonic() + _DONE_WITHIN_SECONDS
        while subject.left_to_do() and time.monotonic() < deadline:
            time.sleep(0.2)
    if left := subject.left_to_do():
        report.violations.append(f"under an older key in the end: {left}")
    alone = KeyringFile(subject.ring.service_secret, (subject.ring.current,))
    _judge(subject, report, "with the current key alone", alone)


def _judge(subject: Subject, report: Report, when: str, ring: KeyringFile) -> None:
    report.violations += [f"{when}: {one}" for one in subject.wrong(ring)]
    report.compared += len(subject.whole)
