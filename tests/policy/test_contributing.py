"""CONTRIBUTING.md is true: what it says to add is added here, where it says.

Every test changes a copy of the package as the page says and runs it in a process.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

import keras_dream

SOURCE = Path(keras_dream.__file__).parent
PAGE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text("utf-8")


def files_named(thing):
    """Returns the files that the page names for adding a thing."""
    (header,) = re.findall(
        rf"^\*\*{thing}\*\*, in (.*?):$", PAGE, re.MULTILINE | re.DOTALL
    )
    return set(re.findall(r"`([\w/]+\.py)`", header))


class Copy:
    """A copy of the package, and the files that were changed in it."""

    def __init__(self, folder):
        self.root = folder / "keras_dream"
        self.changed = set()
        shutil.copytree(SOURCE, self.root, ignore=shutil.ignore_patterns("__pycache__"))

    def write(self, name, text):
        (self.root / name).write_text(text, "utf-8")
        self.changed.add(name)

    def insert(self, name, line_start, text):
        """Inserts text before the only line that begins so."""
        lines = (self.root / name).read_text("utf-8").splitlines(keepends=True)
        (at,) = [i for i, line in enumerate(lines) if line.startswith(line_start)]
        self.write(name, "".join([*lines[:at], text, *lines[at:]]))

    def register(self, name, union, member):
        """Writes a class in front of a union and adds it to the union."""
        self.insert(name, f"{union} = ", member)
        kind = re.search(r"class (\w+)", member)[1]
        text = (self.root / name).read_text("utf-8")
        self.write(name, re.sub(f"(?m)^{union} = .*", rf"\g<0> | {kind}", text))

    def add_method(self, name, method):
        """Adds a method to the end of the backend's class."""
        text = (self.root / name).read_text("utf-8")
        classes = [n for n in ast.parse(text).body if isinstance(n, ast.ClassDef)]
        (owner,) = [c for c in classes if c.name.endswith("Backend")]
        lines = text.splitlines(keepends=True)
        lines.insert(owner.end_lineno, "\n" + indent(method, "    "))
        self.write(name, "".join(lines))

    def run(self, code):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(self.root.parent)},
            cwd=self.root.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


START = """
import numpy as np
import keras_dream as kd
photo = np.random.default_rng(0).random((96, 96, 3), np.float32)
one = dict(octaves=1, steps=1, jitter=0, objective="mixed2")
"""


def test_a_loss(copy):
    member = '''
class L1(Part):
    """The mean of absolute activations inside the border."""

    name: Literal["l1"] = "l1"

    def __call__(self, backend: "Backend", features: Array, border: int) -> Array:
        """Returns the loss."""
        return backend.mean(backend.absolute(interior(backend, features, border)))


'''
    copy.register("parts/losses.py", "Loss", member)
    assert copy.changed == files_named("A loss")
    copy.run(
        START
        + """
dreamer = kd.Dreamer("motif")
losses = [dreamer.gradient(photo, kd.Recipe(loss=n, **one))[0] for n in ("l1", "mean")]
assert losses[0] == losses[1] > 0, losses  # mixed2 ends in a ReLU
"""
    )


def test_a_term_of_an_objective(copy):
    value = '''
@dataclass(frozen=True)
class Total(OfLayer):
    """The sum of a layer's activations."""

    layer: str

    word: ClassVar[str] = "total"
    form: ClassVar[str] = "total(mixed4)"

    @property
    def text(self) -> str:
        """The target as it is written in an objective."""
        return f"total({self.layer_text})"

    @classmethod
    def read(cls, reader: Reader) -> "Total":
        """Reads the argument."""
        return cls(Layer(*reader.layer()).layer)


'''
    copy.register("recipe/targets.py", "Target", value)
    text = (copy.root / "recipe/targets.py").read_text("utf-8")
    copy.write("recipe/targets.py", text.replace("(Neuron, ", "(Total, Neuron, "))
    goal = """
def _total_of(graph: Graph, weight: float, target: Target) -> Goal:
    node = graph.node_of(target.layer)

    def make(context: Context) -> Value:
        return lambda seen: context.backend.sum(seen.features[node])

    return Goal(weight, make, (node,))


"""
    copy.insert("engine/goals.py", "RESOLVERS: ", goal)
    text = (copy.root / "engine/goals.py").read_text("utf-8")
    text = text.replace(
        "    Layer: _layer,\n", "    Total: _total_of,\n    Layer: _layer,\n"
    )
    text = text.replace("    Penalty,\n", "    Total,\n    Penalty,\n", 1)
    copy.write("engine/goals.py", text)
    assert copy.changed == files_named("A term of an objective")
    copy.run(
        START
        + """
one["objective"] = "2*total(mixed2)"
dreamer = kd.Dreamer("motif")
value, gradient = dreamer.gradient(photo, kd.Recipe(**one))
features = dreamer.features(photo, ["mixed2"])["mixed2"]
assert abs(value - 2 * features.sum()) < 1e-3 * value, (value, features.sum())
assert str(kd.dream(photo, **one).recipe.objective) == "2.0*total(mixed2)"
"""
    )


def test_a_canvas(copy):
    member = '''
class Gray(Part):
    """The mean of the three channels."""

    name: Literal["gray"] = "gray"

    def on(self, backend: "Backend", size: Size, wrap: "Wrap") -> Surface:
        """Returns the canvas for an image of (height, width) on a backend."""
        return _GraySurface(backend)


class _GraySurface(Surface):
    def __init__(self, backend: "Backend"):
        import numpy as np

        self._backend = backend
        self._mean = backend.array(np.full((3, 3), 1 / 3, np.float32))

    def parameters(self, image: Array) -> Arrays:
        return (image,)

    def image(self, parameters: Arrays) -> Array:
        return self._backend.matmul(parameters[0], self._mean)

    def movement(self, changes: Arrays) -> Array:
        return self.image(changes)


'''
    copy.register("parts/canvases.py", "Canvas", member)
    assert copy.changed == files_named("A canvas")
    copy.run(
        START
        + """
image = kd.dream(photo, canvas="gray", **one).image
gray = photo.mean(-1, keepdims=True)
assert np.allclose(image, image[..., :1], atol=1e-5)
assert 1e-4 < np.abs(image - gray).max() < 0.5
"""
    )


def test_an_optimizer(copy):
    member = '''
class Sign(UpdateRule):
    """A step of the same length in every parameter."""

    is_scale_free: ClassVar[bool] = True
    name: Literal["sign"] = "sign"

    def start(self) -> State:
        """Returns the state before an octave's first step: none."""
        return None

    def step(
        self,
        backend: "Backend",
        state: State,
        gradients: Arrays,
        *,
        divisor: float,
        step_size: float,
    ) -> tuple[State, Arrays]:
        """Returns the next state and what is added; arguments as for `Sgd.step`."""
        b = backend
        signs = [b.divide(g, b.add(b.absolute(g), 1e-30)) for g in gradients]
        return state, tuple(b.multiply(sign, step_size) for sign in signs)


'''
    copy.register("parts/optimizers.py", "Optimizer", member)
    assert copy.changed == files_named("An optimizer")
    copy.run(
        START
        + """
photo = 0.25 + photo / 2
image = kd.dream(photo, optimizer="sign", step_size=0.01, **one).image
assert np.allclose(np.median(np.abs(image - photo)), 0.01, atol=1e-4)
"""
    )


METHODS = {
    "protocol": '"""Divides the channels of every cell by their length."""\n    ...',
    "torch": "squares = x.square().sum(1, keepdim=True)\n"
    "    return x * squares.clamp_min(1e-12).rsqrt()",
    "jax": "squares = jnp.square(x).sum(-1, keepdims=True)\n"
    "    return x * jax.lax.rsqrt(jnp.maximum(squares, 1e-12))",
    "tensorflow": "squares = tf.reduce_sum(tf.square(x), -1, keepdims=True)\n"
    "    return x * tf.math.rsqrt(tf.maximum(squares, 1e-12))",
}


def test_an_operation_with_its_lowering_rule(copy):
    operation = '''
class UnitNorm(Operation):
    """Divides the channels of every cell by their length."""

    def run(self, backend: Backend, x: Array, padding: Padding) -> Array:
        return backend.unit_norm(x)


'''
    copy.insert("graph/ops.py", "OPERATIONS: ", operation)
    copy.insert("graph/ops.py", '    "activation": ', '    "unit_norm": UnitNorm,\n')
    for name, body in METHODS.items():
        method = f"def unit_norm(self, x: Array) -> Array:\n    {body}\n"
        copy.add_method(f"backend/{name}.py", method)
    assert copy.changed == files_named("An operation")

    copy.changed.clear()
    rule = """
def _unit_norm(
    builder: Builder, name: str, layer: Any, inputs: list[Value]
) -> Value | None:
    return builder.add(name, "unit_norm", inputs[0]) if layer.axis == -1 else None


"""
    copy.insert("lowering/rules.py", "RULES: ", rule)
    row = '    "UnitNormalization": _unit_norm,\n'
    copy.insert("lowering/rules.py", '    "Activation": ', row)
    assert copy.changed == files_named("A lowering rule")
    copy.run(
        START
        + """
import keras
from keras_dream.lowering.walker import lower
image = keras.Input((None, None, 3))
x = keras.layers.Conv2D(4, 3, name="conv")(image)
model = keras.Model(image, keras.layers.UnitNormalization(name="unit")(x))
assert {n.op for n in lower(model, preprocessing="0-1").nodes} >= {"unit_norm"}
(features,) = kd.Dreamer(model, preprocessing="0-1").features(photo, ["unit"]).values()
expected = keras.ops.convert_to_numpy(model(photo[None]))[0]
assert np.allclose(features, expected, atol=1e-5)
"""
    )


def test_a_command(copy):
    command = '''"""`dream size`: how large a picture is."""

from keras_dream.cli.output import write_stdout


def size(photo: str, /) -> int:
    """Print the size of a picture.

    Args:
        photo: a picture
    """
    from keras_dream.pictures.picture import read_picture

    height, width = read_picture(photo).pixels.shape[:2]
    write_stdout(f"{width} x {height}")
    return 0
'''
    copy.write("cli/commands/size.py", command)
    imported = "from keras_dream.cli.commands.size import size\n"
    copy.insert("cli/app.py", "from keras_dream.cli.commands.weights ", imported)
    copy.insert("cli/app.py", "    networks,", "    size,\n")
    named = {name.replace("NAME", "size") for name in files_named("A command")}
    assert copy.changed == named
    printed = copy.run(
        """
import numpy as np
from PIL import Image
from keras_dream.cli import main
Image.new("RGB", (12, 8)).save("photo.png")
assert main(["size", "photo.png"]) == 0
assert main(["--help"]) == 0
"""
    )
    assert printed.startswith("12 x 8\n")
    assert "Print the size of a picture." in printed


def test_every_room_is_in_the_tree():
    tree = re.search(r"```\nsrc/keras_dream/\n(.*?)```", PAGE, re.DOTALL)[1]
    named = set(re.findall(r"(?m)^  (\w+)/", tree)) | set(re.findall(r"\w+\.py", tree))
    here = {p.name for p in SOURCE.iterdir() if (p / "__init__.py").is_file()}
    here |= {p.name for p in SOURCE.glob("*.py") if not p.name.startswith("__")}
    assert named == here
