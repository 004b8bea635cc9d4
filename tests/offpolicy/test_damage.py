"""Whatever happens to a file's bytes, its reader reads it or refuses it, and never falls over."""

from __future__ import annotations

from pathlib import Path

import pytest
from logs import FORMS, GOOD
from test_malformed_logs import SAID

from bestpolicy.core.nouns import BestPolicyError, Rng
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.readers import read_log

LOGS = Path(__file__).parent / "logs"
MARKS = b'0123456789.,:"{}[]|-eE \n\tanNx'


def damaged(data: bytes, rng: Rng) -> bytes:
    """Some bytes are changed, left out or doubled."""
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at, size = int(rng.integers(len(made))), int(rng.integers(1, 20))
        match int(rng.integers(4)):
            case 0:
                made[at] = int(rng.integers(256))
            case 1:
                made[at] = int(rng.choice(list(MARKS)))
            case 2:
                del made[at : at + size]
            case _:
                made[at:at] = made[:size]
        made = made or bytearray(b"x")
    return bytes(made)


@pytest.mark.parametrize("form", ["parquet", "arrow", "csv", "jsonl", "vw", "txt", "dsjson", "obd"])
def test_damaged_bytes_are_read_or_refused(form: str, tmp_path: Path) -> None:
    if form in FORMS:
        path, said = FORMS[form](tmp_path, GOOD), SAID
    else:
        golden = {"vw": "cb.vw", "txt": "adf.txt", "dsjson": "events.dsjson"}
        path, said = LOGS / golden.get(form, "open_bandit.csv"), {}
    data, rng = path.read_bytes(), stream(6, f"damage/{form}")
    fine = refused = 0
    for _ in range(60):
        (other := tmp_path / path.name).write_bytes(damaged(data, rng))
        try:
            sum(len(chunk) for chunk in read_log(other, **said).chunks())
            fine += 1
        except BestPolicyError:
            refused += 1
    assert fine + refused == 60
    assert refused > 20
