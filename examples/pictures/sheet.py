"""A contact sheet as one SVG file: what each policy shows to each viewer, pictures as PNGs within.

The standard library is enough: a PNG is rows of bytes, packed by zlib and summed by crc32.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping
from html import escape

import numpy as np

from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import drawn
from bestpolicy.worlds.pictures import MOTIFS, PictureWorld, motif_of

SHOWN, SIZE, GAP, LEFT, TOP = 4, 48, 6, 190, 46  # pictures a cell; pixels


def png(picture: Array) -> bytes:
    """An (h, w, 3) picture with values in [0, 1] as a PNG file."""
    pixels = np.rint(255 * picture).astype(np.uint8)
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )


def sheet(world: PictureWorld, viewers: Array, shown: Mapping[str, Array], seed: int = 0) -> str:
    """Rows are policies by their (m, A) chances, columns are viewers."""
    cell = SHOWN * (SIZE + GAP) + 3 * GAP
    wide, high = LEFT + len(viewers) * cell, TOP + len(shown) * (SIZE + 4 * GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}">',
        "<style>text { font: 13px sans-serif } .worth { font-size: 10px }</style>",
        f'<rect width="{wide}" height="{high}" fill="white"/>',
    ]
    for i, motif in enumerate(motif_of(viewers)):
        said = f"viewer {i + 1}, asked for {MOTIFS[motif]}"
        parts.append(f'<text x="{LEFT + i * cell}" y="24">{said}</text>')
    for line, (name, chances) in enumerate(shown.items()):
        top = TOP + line * (SIZE + 4 * GAP)
        parts.append(f'<text x="10" y="{top + SIZE / 2}">{escape(name)}</text>')
        rng = stream(seed, "examples/pictures/sheet", line)
        for i, styles in enumerate(drawn(chances, SHOWN, rng)):
            asked = np.repeat(viewers[i : i + 1], SHOWN, axis=0)
            pictures = world.sample(asked, styles, rng)
            for k, (picture, worth) in enumerate(
                zip(pictures, world.mean_reward(asked, pictures), strict=True)
            ):
                x = LEFT + i * cell + k * (SIZE + GAP)
                data = base64.b64encode(png(picture)).decode()
                parts.append(
                    f'<image x="{x}" y="{top}" width="{SIZE}" height="{SIZE}" '
                    f'href="data:image/png;base64,{data}"/>'
                    f'<text x="{x}" y="{top + SIZE + 12}" class="worth">{worth:.0%}</text>'
                )
    return "\n".join([*parts, "</svg>", ""])
