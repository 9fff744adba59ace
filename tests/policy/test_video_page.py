"""docs/video.md shows what is true: its lines and its Python are run as they stand."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from clips import hard_cut, moving_square, texture, tone, write_clip

from keras_dream import cli
from keras_dream.pictures.encoding import save_picture

pytest.importorskip("av")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "video.md").read_text("utf-8")
QUICK = {"--size": "64", "--seconds": "0.2", "--workers": "1", "--smooth": "0"}
"""Values of options in the place of those of the page, which take longer."""
QUICKER = ("--threads", "1", "--steps", "2", "--octaves", "1")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def commands():
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    assert all(line[0] == "dream" for line in words if line)
    return [line[1:] for line in words if line]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with the clips, the photo and the sound that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    write_clip("clip.mp4", hard_cut(4, at=2), rate=10, sound=tone(0.4))
    for name in ("waves.mp4", "mask.mp4"):
        write_clip(name, moving_square(3), rate=10)
    Path("frames").mkdir()
    for number in range(2):
        image = texture(seed=number).astype(np.float32) / 255
        save_picture(f"frames/{number}.png", image)
    save_picture("photo.jpg", texture().astype(np.float32) / 255)
    write_clip("song.mkv", hard_cut(2, at=1), rate=10, sound=tone(0.4, hertz=220))
    monkeypatch.setenv("KERAS_DREAM_OFFLINE", "1")
    monkeypatch.setenv("KERAS_DREAM_HOME", str(tmp_path / "home"))


def test_its_lines_run(desk, capsys):
    for words in commands():
        before = ["", *words]
        line = [QUICK.get(a, b) for a, b in zip(before, words, strict=False)]
        is_film = words[0] in ("video", "zoom", "film")
        code = cli.main([*line, *QUICKER * is_film])
        told = capsys.readouterr()
        assert code == 0, (words, told.err)
        results = told.out.splitlines()[-1:] if is_film else []
        assert all(Path(result).exists() for result in results), words
        if "-o" in words:
            assert results == [words[words.index("-o") + 1]]


def test_its_python_runs(desk, capsys):
    names = {}
    for block in blocks("python"):
        exec(compile(block, "video.md", "exec"), names)
    assert Path("python.mp4").is_file()
    assert "'event': 'frame'" in capsys.readouterr().out


def test_its_links_lead_somewhere():
    heads = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in PAGE.splitlines()
        if line.startswith("#")
    }
    for target in re.findall(r"\]\(#([^)]+)\)", PAGE):
        assert target in heads, target
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
