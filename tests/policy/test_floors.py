"""Imports point down only, and nothing heavy is loaded by an import of the package."""

import ast
from pathlib import Path

import pytest

import keras_dream

ROOT = Path(keras_dream.__file__).parent

# By the first name that fits, from the most particular to the most general.
FLOORS = {
    "errors": 0,
    "settings": 0,
    "recipe": 0,
    "terms": 0,
    "geometry": 0,
    "images": 1,
    "decoding": 1,
    "files": 1,
    "heatmaps": 1,
    "backend": 2,
    "preset": 3,
    "objectives": 3,
    "network": 3,
    "gradients": 4,
    "loading": 4,
    "networks": 4,
    "canvases": 4,
    "ascent": 4,
    "dreams": 4,
    "responses": 4,
    "explanation": 5,
    "engine": 5,
    "dreamer": 6,
    "once": 6,
    "replay": 7,
    "sheets": 7,
    "explaining": 7,
    "cli": 8,
    "__main__": 9,
}
HEAVY = {
    "av", "cv2", "fastapi", "h5py", "jax", "keras", "ray", "safetensors", "scipy",
    "tensorflow", "torch",
}  # fmt: skip


def modules():
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in sorted(ROOT.rglob("*.py"))
        if path != ROOT / "__init__.py"
    }


def floor(module):
    return FLOORS[module.split(".")[0]]


def imports(path, top_only=False):
    """Yields (the whole name of what is imported, the line), but not for types only."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []  # walked later, so that nothing is found in it
    nodes = tree.body if top_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} is relative"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


@pytest.mark.parametrize("module", modules())
def test_imports_point_down(module):
    for name, line in imports(modules()[module]):
        parts = name.split(".")
        if parts[0] != "keras_dream" or name in (
            "keras_dream",
            "keras_dream.__version__",
        ):
            continue
        assert parts[1] in FLOORS, f"{module}:{line} imports {name}, which has no floor"
        same_package = parts[1] == module.split(".")[0]
        lower = FLOORS[parts[1]] < floor(module)
        # Modules of one floor may know each other; faces and whole jobs may not.
        neighbour = FLOORS[parts[1]] == floor(module) < 7
        assert same_package or lower or neighbour, f"{module}:{line} imports {name}"


def test_every_module_has_a_floor():
    assert {module.split(".")[0] for module in modules()} <= set(FLOORS)


@pytest.mark.parametrize("module", modules())
def test_heavy_libraries_are_imported_inside_what_uses_them(module):
    if module in ("backend.torch", "backend.jax", "backend.tensorflow"):
        return
    found = {
        name.split(".")[0] for name, _ in imports(modules()[module], top_only=True)
    }
    assert not found & HEAVY


def test_neighbours_have_no_circles():
    """A circle of imports at module level makes the order of imports matter."""
    edges = {}
    for module, path in modules().items():
        names = [name for name, _ in imports(path, top_only=True)]
        inner = {
            name.removeprefix("keras_dream.")
            for name in names
            if "keras_dream." in name
        }
        edges[module.removesuffix(".__init__")] = {
            other.removesuffix(".__init__")
            for other in modules()
            for name in inner
            if name == other.removesuffix(".__init__")
            or name.startswith(other.removesuffix(".__init__") + ".")
        } - {module.removesuffix(".__init__")}
    # A package is no neighbour of its own modules: `from package import name`.
    for module, others in edges.items():
        others -= {package for package in edges if module.startswith(package + ".")}
    done: set[str] = set()
    while free := {
        m for m, others in edges.items() if m not in done and others <= done
    }:
        done |= free
    assert done == set(edges), set(edges) - done
