"""Power fails: a disk that forgets what was not synced takes nothing that was acknowledged.

A real process writes through a shim that notes every write and every sync. The files are then put
together as they would be found after a cut at each moment: with all that was synced, and of the
rest nothing, or some of it by chance.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import laws
from bestpolicy.core.nouns import Outcome, Rng
from bestpolicy.core.rng import stream
from bestpolicy.store import open_store

GCC = shutil.which("gcc") or shutil.which("cc")
pytestmark = pytest.mark.skipif(GCC is None, reason="the shim that notes writes needs a C compiler")
SHIM = Path(__file__).with_name("power.c")
ANSWERS = 260  # past the first checkpoint of the log

# Tells duels one by one, and says of each that it was acknowledged, in a file of the same folder.
WRITER = """\
import os, sys
sys.path.insert(0, sys.argv[2])
import laws
from bestpolicy.store import open_store
{twin}
acks = os.open(sys.argv[1] + "/acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
store = open_store("sqlite:///" + sys.argv[1] + "/x.db", "study", {{"seed": 1}})
for number in range(int(sys.argv[3])):
    store.asked([laws.question(number)])
    store.told([laws.answer(number)])
    os.write(acks, b"%d\\n" % number)
store.close()
"""
FULL = ""
NORMAL = """
from bestpolicy.store import file
plain = file.connect
def connect(path):
    db = plain(path)
    db.execute("PRAGMA synchronous = NORMAL")
    return db
file.connect = connect
"""


@dataclass
class Noted:
    kind: str
    at: int
    path: str
    data: bytes


@dataclass
class Disk:
    """One file: what is on the disk for certain, and what was written since its last sync."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[Noted] = field(default_factory=list)

    def sync(self) -> None:
        for noted in self.since:
            put(self.synced, noted)
        self.since = []

    def after_a_cut(self, rng: Rng | None) -> bytes:
        """Of what was not synced, nothing; with `rng` each write is there or not by chance."""
        content = bytearray(self.synced)
        for noted in self.since:
            if rng is not None and rng.random() < 0.5:
                put(content, noted)
        return bytes(content)


def put(content: bytearray, noted: Noted) -> None:
    if noted.kind == "T":
        del content[noted.at :]
        content.extend(bytes(max(0, noted.at - len(content))))
        return
    end = noted.at + len(noted.data)
    content.extend(bytes(max(0, end - len(content))))
    content[noted.at : end] = noted.data


def written(folder: Path, answers: int, twin: str) -> list[Noted]:
    """What a writer did to its files, in order."""
    assert GCC is not None
    shim, log, work = folder / "power.so", folder / "log", folder / "work"
    work.mkdir()
    build = [GCC, "-shared", "-fPIC", "-O1", "-o", str(shim), str(SHIM), "-ldl", "-lpthread"]
    subprocess.run(build, check=True, capture_output=True)
    code = WRITER.format(twin=twin)
    subprocess.run(
        [sys.executable, "-c", code, str(work), str(Path(laws.__file__).parent), str(answers)],
        env=os.environ
        | {
            "LD_PRELOAD": str(shim),
            "POWER_FOLDER": str(work),
            "POWER_LOG": str(log),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
        check=True,
    )
    return list(read(log.read_bytes()))


def read(log: bytes) -> Iterator[Noted]:
    at = 0
    while at < len(log):
        end = log.index(b"\n", at)
        kind, offset, size, path = log[at:end].decode().split(" ", 3)
        at = end + 1
        length = int(size) if kind == "W" else 0
        yield Noted(kind, int(offset), path, log[at : at + length])
        at += length


def cuts(noted: list[Noted], step: int) -> Iterator[tuple[dict[str, Disk], set[int]]]:
    """The files at every `step`-th sync and acknowledgement, and what was acknowledged by then."""
    disks: dict[str, Disk] = {}
    acked: set[int] = set()
    moments = 0
    for one in noted:
        disk = disks.setdefault(one.path, Disk())
        if one.path.endswith("/acks"):
            acked.add(int(one.data))
        elif one.kind == "S":
            disk.sync()
        elif one.kind == "U":
            disks[one.path] = Disk()
        else:
            disk.since.append(one)
        if one.path.endswith("/acks") or one.kind == "S":
            moments += 1
            if moments % step == 0:
                yield disks, acked


def survives(folder: Path, *, answers: int, step: int, twin: str = FULL) -> int:
    """How many cuts there were; after each, all that was acknowledged is there."""
    rng = stream(3, "power")
    noted = written(folder, answers, twin)
    many = 0
    for disks, acked in cuts(noted, step):
        for chance in (None, rng):
            many += 1
            found = folder / f"cut{many}"
            found.mkdir()
            for path, disk in disks.items():
                if path.endswith(("x.db", "x.db-wal")):
                    (found / Path(path).name).write_bytes(disk.after_a_cut(chance))
            store = open_store(f"sqlite:///{found}/x.db", "study", {"seed": 1})
            told = {e.comparison.id for e in laws.events(store) if isinstance(e, Outcome)}
            store.close()
            assert acked <= told, f"acknowledged and lost: {sorted(acked - told)}"
            shutil.rmtree(found)
    return many


def test_a_power_cut_takes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    assert survives(tmp_path, answers=60, step=7) > 40


@pytest.mark.slow
def test_a_power_cut_at_every_sync_takes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    assert survives(tmp_path, answers=ANSWERS, step=1) > 1500


def test_a_log_that_is_not_synced_at_each_commit_is_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="acknowledged and lost"):
        survives(tmp_path, answers=60, step=7, twin=NORMAL)
