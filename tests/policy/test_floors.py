"""Imports point down only, and nothing heavy is loaded by an import of the package."""

import ast
from pathlib import Path

import pytest

import keras_dream

ROOT = Path(keras_dream.__file__).parent

# Every room has a floor, a sub-package its own; the longest name that fits counts.
FLOORS = {
    "errors": -2,
    "names": -1,
    "locks": -1,
    "events": 0,
    "failures": 0,
    "files": 0,
    "logs": 0,
    "geometry": 0,
    "isolation": 0,
    "backend": 1,
    "claims": 1,
    "recipe.synonyms": 1,
    "pictures.synthetic": 1,
    "recipe.settings": 2,
    "recipe.files": 2,  # parts have files, too
    "parts": 3,
    "recipe": 4,
    "pictures": 4,
    "untrusted": 4,
    "graph": 5,
    "weights": 5,
    "lowering": 6,
    "engine": 6,
    "zoo": 7,
    "dreamer": 8,
    "jobs": 9,
    "workers": 9,
    "explanations": 10,
    "sheets": 10,
    "crash": 9,
    "replay": 10,
    "rescue": 9,
    "resume": 11,
    "batches": 11,
    "huge": 11,
    "video": 11,
    "mixing": 11,
    "citations": 11,
    "cli.reporters": 13,
    # How dreams and sheets run from the shell: shared by commands, one file a command.
    "cli.dream_run": 14,
    "cli.huge_run": 15,
    "cli.video_run": 15,
    "cli.picture_film_run": 16,
    "cli.sheet_run": 15,
    "cli.choices_run": 16,
    "cli.batch_run": 16,
    "cli.commands": 17,
    "cli": 18,
    "__main__": 19,
}
# The command line has small helpers below its `commands` and `reporters`.
CLI_HELPERS = (
    "cli.command_line",
    "cli.errors",
    "cli.options",
    "cli.network_files",
    "cli.output",
    "cli.photos",
    "cli.interrupts",
    "cli.streams",
)
FLOORS.update(dict.fromkeys(CLI_HELPERS, 12))
HEAVY = {
    "OpenEXR", "av", "cv2", "fastapi", "h5py", "jax", "keras", "pyvips", "ray",
    "safetensors", "scipy", "tensorflow", "torch",
}  # fmt: skip


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path
    for path in sorted(ROOT.rglob("*.py"))
    if path != ROOT / "__init__.py"
}


def room(module):
    """Returns the room of a module: the longest name of `FLOORS` that it is in."""
    parts = module.split(".")
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((name for name in names if name in FLOORS), None)


def imports(path, *, lazy=True):
    """Yields (the whole name of what is imported, the line), but not for types only."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []  # walked later, so that nothing is found in it
    nodes = ast.walk(tree) if lazy else tree.body
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} is relative"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def imported_modules(module):
    """Yields (module of ours that another imports anywhere, the line)."""
    for name, line in imports(MODULES[module]):
        parts = name.removeprefix("keras_dream.").split(".")
        if not name.startswith("keras_dream."):
            continue
        names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        target = next((n for n in names if n in MODULES), None)
        if target is not None and target != module:
            yield target, line


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_floor(module):
    assert room(module) is not None


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    """Lazy imports count, too: an arrow that is hidden in a function is an arrow."""
    for target, line in imported_modules(module):
        own, other = room(module), room(target)
        below = FLOORS[other] < FLOORS[own]
        assert own == other or below, f"{module}:{line} imports {target}"


@pytest.mark.parametrize("module", MODULES)
def test_heavy_libraries_are_imported_inside_what_uses_them(module):
    if module.startswith(("backend.torch", "backend.jax", "backend.tensorflow")):
        return
    names = {name.split(".")[0] for name, _ in imports(MODULES[module], lazy=False)}
    assert not names & HEAVY


def test_no_circles():
    """Not even inside a room, and not through a lazy import."""
    edges = {
        module: {target for target, _ in imported_modules(module)} for module in MODULES
    }
    # A package's `__init__` is no neighbour of its own modules.
    for module, targets in edges.items():
        targets -= {t for t in targets if module.startswith(t + ".")}
    rest = set(edges)
    while ends := {m for m in rest if not edges[m] & rest}:
        rest -= ends
    while starts := {m for m in rest if not any(m in edges[n] for n in rest)}:
        rest -= starts
    assert not rest, sorted(rest)
