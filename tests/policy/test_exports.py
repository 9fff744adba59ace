"""What the package offers, and what importing it costs."""

import ast
import importlib
import importlib.util
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_dream

SOURCE = Path(keras_dream.__file__)
HEAVY = ("numpy", "keras", "torch", "jax", "tensorflow", "PIL", "pydantic", "h5py")


def python(code, **environment):
    run = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE.parents[1]), **environment},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def typed_block():
    """Returns {name: module} of the block that only type checkers read."""
    tree = ast.parse(SOURCE.read_text("utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If))
    return {
        alias.asname or alias.name: node.module.removeprefix("keras_dream.")
        for node in block.body
        for alias in node.names
    }


def test_the_three_lists_agree():
    assert sorted(keras_dream.__all__) == sorted(keras_dream._HOMES)
    assert typed_block() == keras_dream._HOMES


@pytest.mark.parametrize("name", keras_dream.__all__)
def test_every_name_is_there(name):
    value = getattr(keras_dream, name)
    home = importlib.import_module(f"keras_dream.{keras_dream._HOMES[name]}")
    assert value is getattr(home, name)
    assert name in dir(keras_dream)


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="nothing_at_all"):
        _ = keras_dream.nothing_at_all


def functions(owner):
    for name, value in vars(owner).items():
        if name.startswith("_") and name != "__init__":
            continue
        if inspect.isclass(value) and value.__module__ == owner.__name__:
            yield from functions_of_class(value)
        elif inspect.isfunction(value) and value.__module__ == owner.__name__:
            yield value


def functions_of_class(owner):
    for name, value in vars(owner).items():
        public = name == "__init__" or name[0] != "_"
        # A Protocol's __init__ is typing's own.
        if inspect.isfunction(value) and public and value.__module__ != "typing":
            yield value


LIGHT = [
    "keras_dream." + ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    for path in sorted(SOURCE.parent.rglob("*.py"))
    if path.name not in ("__init__.py", "__main__.py") and path.parent.name != "backend"
]


@pytest.mark.parametrize("module", LIGHT)
def test_every_public_function_is_annotated(module):
    for function in functions(importlib.import_module(module)):
        parameters = inspect.signature(function).parameters.values()
        for parameter in parameters:
            if parameter.name not in ("self", "cls"):
                missing = parameter.annotation is inspect.Parameter.empty
                assert not missing, f"{function.__qualname__}: {parameter.name}"
        if function.__name__ != "__init__":
            assert "return" in function.__annotations__, function.__qualname__


def test_the_import_loads_nothing_heavy():
    code = f"import sys, keras_dream; print(*(m for m in {HEAVY} if m in sys.modules))"
    assert python(code) == ""


@pytest.mark.parametrize("name", ["torch", "jax", "tensorflow"])
@pytest.mark.parametrize("order", ["keras, keras_dream", "keras_dream, keras"])
def test_imports_in_either_order(name, order):
    """A plain `import keras` decides the backend, and ours follows it."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    code = (
        f"import {order}\nfrom keras_dream.backend.load import choose\n"
        "from keras_dream import Dreamer, dream\n"
        "print(choose(None), keras.config.backend())"
    )
    found = python(code, KERAS_BACKEND=name, TF_CPP_MIN_LOG_LEVEL="3")
    assert found.splitlines()[-1] == f"{name} {name}"


# What users write without a name: the subject of a call, and the arguments of commands.
POSITIONAL = {
    "batches.call.batch(recipe)",
    "cli.main(arguments)",
    "cli.commands.jobs.prune(folder)",
    "cli.commands.presets.presets(name)",
    "cli.commands.weights.path(name)",
    "dreamer.dreamer.Dreamer.__init__(network)",
    "dreamer.dreamer.Dreamer.of(network)",
    "dreamer.dreamer.Dreamer.dream(recipe)",
    "dreamer.dreamer.Dreamer.record(recipe)",
    "dreamer.dreamer.Dreamer.steps(recipe)",
    "dreamer.dreamer.dream(recipe)",
    "engine.planner.Plan.__init__(entries)",
    "explanations.explain.Explanation.strongest(count)",
    "huge.run.dream_huge(recipe)",
    "huge.stores.Store.commit(notes)",
    "huge.stores.Store.take(columns)",
    "explanations.explain.explain(network)",
    "sheets.atlas.atlas(network)",
    "sheets.grid.grid(recipe)",
    "video.call.dream_video(recipe)",
    "video.sink.check_film(clip)",
    "video.sink.check_film(encoding)",
    "video.sink.is_deep(encoding)",
    "video.picture_calls.dream_film(recipe)",
    "video.picture_calls.dream_zoom(recipe)",
    "video.source.Source.frames(first)",  # as of a range
    "video.source.Source.frames(last)",
}


def defaults(node, names):
    """Yields ("function(parameter)", whether it is keyword-only) for every default."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.ClassDef | ast.FunctionDef):
            continue
        if child.name.startswith("_") and child.name != "__init__":
            continue
        inner = [*names, child.name]
        if isinstance(child, ast.ClassDef):
            yield from defaults(child, inner)
            continue
        arguments = child.args
        plain = [*arguments.posonlyargs, *arguments.args]
        for parameter in plain[len(plain) - len(arguments.defaults) :]:
            yield f"{'.'.join(inner)}({parameter.arg})", False
        pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        for parameter, default in pairs:
            if default is not None:
                yield f"{'.'.join(inner)}({parameter.arg})", True


def test_defaults_are_keyword_only():
    """At least 95 %, and all but those that are listed."""
    public = {}
    for path in sorted(SOURCE.parent.rglob("*.py")):
        module = path.relative_to(SOURCE.parent).with_suffix("").parts
        names = [part for part in module if part != "__init__"]
        public.update(defaults(ast.parse(path.read_text("utf-8")), names))
    positional = {name for name, keyword_only in public.items() if not keyword_only}
    assert positional == POSITIONAL
    assert len(positional) <= 0.05 * len(public)
