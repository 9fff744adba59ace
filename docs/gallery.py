"""Makes the gallery: `python docs/gallery.py [NAME ...] [--page]`.

One picture for every line of `gallery.txt`, each by the very command that the page
shows, run in `docs/photos`; names choose some of them, `--page` only writes
`gallery.md`. Lines with `--network squeezenet` need its weights in a file that the
variable `SQUEEZENET_WEIGHTS` names, as the page says; without it they are left out.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PICTURES = HERE / "gallery"
PHOTOS = HERE / "photos"
LIMIT = 100_000  # bytes of a picture
COLUMNS = 2
HEAD = """# Gallery

A picture for every feature, and the line that makes it. The photographs are in
[`photos`](photos/README.md); the pictures are made by `docs/gallery.py`, with the
built-in network unless another one is named. Gradient ascent is chaotic: on another
machine they come out alike, not equal.
"""


class Entry(NamedTuple):
    """One picture: its name, its group, what it shows, and the arguments of `dream`."""

    name: str
    group: str
    caption: str
    arguments: str

    @property
    def path(self) -> Path:
        """Its file."""
        return PICTURES / f"{self.name}.jpg"


def entries() -> list[Entry]:
    """Reads `gallery.txt`: groups after #, then `name | caption | arguments`."""
    every: list[Entry] = []
    group = ""
    for line in (HERE / "gallery.txt").read_text("utf-8").splitlines():
        if line.startswith("#"):
            group = line.lstrip("# ")
        elif line.strip():
            name, caption, arguments = (part.strip() for part in line.split("|", 2))
            every.append(Entry(name, group, caption, arguments))
    return every


def page() -> str:
    """Returns the text of `gallery.md`, of the pictures that are there."""
    parts, group = [HEAD], ""
    for entry in entries():
        if not entry.path.is_file():
            continue
        if entry.group != group:
            group = entry.group
            parts.append(f"\n## {group}\n")
        lines = "\n".join(f"dream {line.strip()}" for line in commands(entry))
        parts.append(
            f"\n**{entry.caption}**\n\n![{entry.caption}](gallery/{entry.path.name})\n"
            f"\n```console\n{lines}\n```\n"
        )
    return "".join(parts)


def commands(entry: Entry) -> list[str]:
    """Returns the arguments of the commands of an entry, one after the other."""
    return entry.arguments.split("&& dream")


def make(entry: Entry) -> bool:
    """Makes one picture; False where its network's weights are not here."""
    weights = os.environ.get("SQUEEZENET_WEIGHTS")
    foreign = "--network squeezenet" in entry.arguments
    if foreign and not weights:
        return False
    made = PHOTOS / "out.png"
    *before, last = commands(entry)
    for arguments in (*before, f"{last} -o {made.name} --yes"):
        more = ["--weights", str(weights)] if foreign else []
        command = [sys.executable, "-m", "keras_dream", *shlex.split(arguments), *more]
        subprocess.run(command, cwd=PHOTOS, check=True)
    save(made, entry.path)
    for path in (*PHOTOS.glob("*.png*"), *PHOTOS.glob("*.npz")):
        path.unlink()
    shutil.rmtree(PHOTOS / "out-cells", ignore_errors=True)
    return True


def save(source: Path, target: Path) -> None:
    """Saves a picture as a JPEG of at most `LIMIT` bytes, with its recipe.

    What is transparent shows white.
    """
    from PIL import Image

    from keras_dream.pictures.encoding import save_picture
    from keras_dream.pictures.metadata import read_notes
    from keras_dream.pictures.picture import read_picture

    picture = read_picture(source)
    image = Image.open(source)
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    save_picture(target, picture.pixels, notes=read_notes(source))
    exif = Image.open(target).info.get("exif", b"")
    for quality in (95, 90, 85, 80, 70, 60):
        image.convert("RGB").save(target, quality=quality, exif=exif)
        if target.stat().st_size <= LIMIT:
            return


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent / "src"))
    PICTURES.mkdir(exist_ok=True)
    names = [name for name in sys.argv[1:] if not name.startswith("--")]
    for one in entries():
        if "--page" not in sys.argv and (not names or one.name in names):
            sys.stderr.write(f"{one.name} {'made' if make(one) else 'left out'}\n")
    (HERE / "gallery.md").write_text(page(), "utf-8")
