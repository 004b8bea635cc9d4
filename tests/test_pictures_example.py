"""The example of pictures runs as its README says, in a smaller form."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "examples" / "pictures"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("run", "sheet"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import run  # type: ignore[import-not-found]

    yield run
    for name in ("run", "sheet"):
        sys.modules.pop(name, None)


@pytest.mark.slow
def test_the_example_learns_and_draws(
    example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    near = example.main(10, 2000, 1, tmp_path / "sheet.svg")
    assert set(near) == {"the log itself", *example.METHODS}
    said = capsys.readouterr().out
    assert "10 styles, 2,000 rows, 1 worlds" in said
    for method in example.METHODS:
        assert near[method][0] > near["the log itself"][0]
        assert f"{near[method][0]:.3f}" in said
    root = ElementTree.parse(tmp_path / "sheet.svg").getroot()
    images = root.findall("{http://www.w3.org/2000/svg}image")
    assert len(images) == (len(example.METHODS) + 1) * 3 * 4
    assert images[0].attrib["href"].startswith("data:image/png;base64,")


def test_a_png_holds_the_pixels_that_it_was_given(example: Any) -> None:
    from sheet import png  # type: ignore[import-not-found]

    picture = np.linspace(0, 1, 5 * 4 * 3).reshape(5, 4, 3)
    made = png(picture)
    assert made[:8] == b"\x89PNG\r\n\x1a\n"
    at, parts = 8, {}
    while at < len(made):
        size = int.from_bytes(made[at : at + 4], "big")
        kind, body = made[at + 4 : at + 8], made[at + 8 : at + 8 + size]
        assert int.from_bytes(made[at + 8 + size : at + 12 + size], "big") == zlib.crc32(
            kind + body
        )
        parts[kind], at = body, at + 12 + size
    assert [int.from_bytes(parts[b"IHDR"][i : i + 4], "big") for i in (0, 4)] == [4, 5]
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), dtype=np.uint8).reshape(5, 13)
    assert (rows[:, 0] == 0).all()
    assert np.array_equal(rows[:, 1:].reshape(5, 4, 3), np.rint(255 * picture))
