"""Makes the pictures of docs/sheets.md, and one of docs/motif.md.

    python docs/sheets.py

The cells are kept in build/sheets, so that a second run goes on where one was stopped.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
SKY = HERE.parent / "examples" / "sky.jpg"
CELLS = HERE.parent / "build" / "sheets"


def main() -> None:
    """Writes an atlas of `motif` and a grid of the sky."""
    import keras_dream as kd

    CELLS.mkdir(parents=True, exist_ok=True)
    dreamer = kd.Dreamer("motif")
    atlas = kd.atlas(
        dreamer,
        layers=["mixed1", "mixed3", "mixed5"],
        channels="0-11",
        folder=CELLS / "atlas",
    )
    atlas.save(HERE / "atlas.jpg")
    classes = kd.atlas(dreamer, classes=True, size=112, folder=CELLS / "classes")
    classes.save(HERE / "motif-noise.jpg")
    grid = kd.grid(
        SKY,
        x="objective=mixed2|mixed4|class:owl",
        y="step_size=0.004|0.012",
        network=dreamer,
        photo_side=240,
        folder=CELLS / "grid",
    )
    grid.save(HERE / "grid.jpg")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent / "src"))
    main()
