"""Graphs without Keras' help: passes one by one, sizes, reach, files, errors."""

import copy
import json

import keras
import numpy as np
import pytest
import small_models
from keras import layers
from reference import features, off, picture

from keras_dream.errors import NetworkError, ObjectiveError, WeightsError
from keras_dream.graph import passes
from keras_dream.graph.file import load, save
from keras_dream.graph.graph import KEPT_SIZES, Graph
from keras_dream.graph.ops import Node, ReceptiveField
from keras_dream.graph.program import Program
from keras_dream.lowering.walker import lower


def lowered(build):
    own = build.__name__ in ("sequential", "normalised")
    return lower(small_models.made(build), preprocessing=None if own else "tf")


def maps(graph, nodes, image, backend):
    run = backend.function(Program(graph, nodes, backend))
    found = run(backend.image(image), graph.plan(*image.shape[:2]).values)
    return [backend.to_image(x) for x in found]


def ops_of(graph):
    return [node.op for node in graph.nodes]


def names_of(graph):
    return {node.name for node in graph.nodes}


# -- passes ----------------------------------------------------------------------------
PASSES = (
    passes.fold_affine,
    passes.exchange_average_pool,
    passes.exchange_max_pool,
    passes.fuse_relu,
    passes.merge_siblings,
)


@pytest.mark.parametrize("build", small_models.FREE, ids=lambda b: b.__name__)
@pytest.mark.parametrize("rewrite", PASSES, ids=lambda p: p.__name__)
def test_each_pass_keeps_the_numbers(rewrite, build, backend):
    graph, image = lowered(build), picture(19, 22)
    last = graph.nodes[-1].name
    for outputs in ([last], [*dict.fromkeys(graph.layers.values())]):
        expected = maps(graph, outputs, image, backend)
        found = maps(rewrite(graph, frozenset(outputs)), outputs, image, backend)
        assert max(map(off, found, expected)) < 1e-5


def test_truncate_drops_what_no_output_needs():
    graph = lowered(small_models.convolutions)
    found = passes.truncate(graph, frozenset(["rectified"]))
    assert found.nodes[-1].name == "rectified"
    assert "dilated" not in names_of(found)
    assert set(found.layers.values()) <= names_of(found)
    assert not [key for key in found.weights if key.startswith("dilated/")]


def test_fold_affine_takes_only_what_nobody_else_reads():
    graph = lowered(small_models.convolutions)
    found = passes.fold_affine(graph, frozenset(["pointwise"]))
    left = [node.name for node in found.nodes if node.op == "affine"]
    assert left == ["input/affine", "unfoldable", "after_concat"]
    assert {"same2", "grouped"}.isdisjoint(names_of(found))
    asked = passes.fold_affine(graph, frozenset(["pointwise", "same2"]))
    assert "same2" in names_of(asked)
    assert "foldable/scale" in asked.weights


def test_exchange_moves_the_pool_behind():
    graph = lowered(small_models.pools)
    found = {n.name: n for n in passes.exchange_average_pool(graph, frozenset()).nodes}
    assert found["behind"].op == "average_pool"
    assert found["behind"].inputs == ("behind/before-pool",)
    assert "mean_same" not in found
    asked = passes.exchange_average_pool(graph, frozenset(["mean_same"]))
    assert "mean_same" in names_of(asked)


def test_fuse_relu_removes_activations():
    graph = lowered(small_models.convolutions)
    found = passes.fuse_relu(passes.fold_affine(graph, frozenset()), frozenset())
    rectified = {n.name for n in found.nodes if n.attrs.get("relu")}
    assert rectified == {"rectified", "pointwise"}
    kept = [n.name for n in found.nodes if n.op == "activation"]
    assert kept == ["relu"]  # behind a concatenation


def test_siblings_become_one_convolution():
    graph = passes.fuse_relu(lowered(small_models.pools), frozenset())
    found = passes.merge_siblings(graph, frozenset())
    kinds = {n.name: n.op for n in found.nodes}
    assert "conv2d" not in (kinds["one"], kinds["two"])
    assert found.channels()["one"] == 4
    assert found.channels()["two"] == 3
    # One convolution in the place of two, and a bias for the one that has none.
    assert ops_of(found).count("conv2d") == ops_of(graph).count("conv2d") - 1


def test_optimise_on_inception_folds_every_batch_norm(inception):
    graph = lower(inception, preprocessing="tf")
    fast = passes.optimise(graph, ["mixed5"])
    counts = {op: ops_of(fast).count(op) for op in ("affine", "activation")}
    # Preprocessing stays: it is never folded. What stands behind a pool is not fused.
    assert counts["affine"] == 1
    behind = [n for n in fast.nodes if "/before-" in n.name]
    assert counts["activation"] == len(behind) == 5 + 2  # mean and max pools
    assert len(fast.nodes) < len(passes.truncate(graph, frozenset(["mixed5"])).nodes)


def test_a_mean_over_all_positions_needs_no_global_layer(backend):
    """What is a mean at the end need not be one before the linear layers."""
    x = inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(40, 3, activation="relu", name="deep")(x)
    x = layers.Conv2D(40, 3, activation="relu", name="last")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(inputs, layers.Dense(2, name="classes")(x))
    graph = lower(model, preprocessing="tf")
    node, image = graph.layers["classes"], picture(19, 22)
    found = passes.drop_mean(graph, node, frozenset([node]))
    assert found.receptive_fields()[node].size == 5
    (whole,), (cells,) = (maps(g, [node], image, backend) for g in (graph, found))
    assert whole.shape[:2] == (1, 1)
    assert cells.shape[:2] == (15, 18)
    assert off(cells.mean((0, 1)), whole[0, 0]) < 1e-5
    # Not where a layer between is not linear, or where it would take long.
    assert passes.drop_mean(graph, graph.layers["last"], frozenset()) is graph
    model = keras.Model(inputs, layers.Dense(900, name="classes")(x))
    wide = lower(model, preprocessing="tf")
    assert passes.drop_mean(wide, wide.layers["classes"], frozenset()) is wide


def test_a_mean_stays_where_others_see_what_is_behind_it():
    x = inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(400, 9, name="deep")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dense(2, name="few")(x)
    x = layers.Dense(3, name="classes")(x)
    outputs = [x, layers.Activation("softmax", name="shares")(x)]
    graph = lower(keras.Model(inputs, outputs), preprocessing="tf")
    names = [graph.layers[layer] for layer in ("few", "classes", "shares")]
    few, classes, shares = names
    alone = passes.truncate(graph, frozenset([classes]))
    assert passes.drop_mean(alone, classes, frozenset([classes])) is not alone
    assert passes.drop_mean(alone, classes, frozenset([classes, few])) is alone
    both = passes.truncate(graph, frozenset([classes, shares]))
    assert passes.drop_mean(both, classes, frozenset([classes, shares])) is both


def test_max_pool_before_its_rectifier():
    graph = lowered(small_models.pools)
    found = {n.name: n for n in passes.exchange_max_pool(graph, frozenset()).nodes}
    assert found["max_same"].op == "activation"
    assert "first" not in found
    assert found["max_same"].inputs == ("max_same/before-relu",)
    asked = passes.exchange_max_pool(graph, frozenset(["first"]))
    assert "first" in names_of(asked)


# -- facts -----------------------------------------------------------------------------
def test_reach_in_closed_form():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(2, 7, strides=2, name="a")(image)  # field 7, stride 2
    x = layers.MaxPooling2D(3, strides=2, name="b")(x)  # 7 + 2·2 = 11, stride 4
    y = layers.Conv2D(2, 3, dilation_rate=2, name="c")(x)  # 11 + 4·4 = 27, stride 4
    z = layers.Cropping2D(2, name="cut")(x)
    z = layers.Add(name="d")([y, z])
    w = layers.GlobalAveragePooling2D(name="e")(z)
    graph = lower(keras.Model(image, w), preprocessing="0-1")
    fields = graph.receptive_fields()
    assert fields["a"] == ReceptiveField(7, 2)
    assert fields["b"] == ReceptiveField(11, 4)
    assert fields["c"] == fields["d"] == ReceptiveField(27, 4)
    assert fields["e"].size == float("inf")


def test_flops_and_memory_by_hand():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(5, 3, padding="same", name="a")(image)
    x = layers.Conv2D(4, 3, strides=2, groups=1, name="b")(x)
    graph = lower(keras.Model(image, x), preprocessing="0-1")
    # b: (9 - 3) // 2 + 1 = 4 rows, (12 - 3) // 2 + 1 = 5 columns.
    expected = 2 * (3 * 3 * 3 * 5 * 9 * 12 + 3 * 3 * 5 * 4 * 4 * 5)
    assert graph.flops(9, 12) == expected
    assert graph.activation_bytes(9, 12) == 4 * (9 * 12 * (3 + 5) + 4 * 5 * 4)


def test_smallest_is_the_border_of_what_runs():
    graph = lowered(small_models.convolutions)
    side = graph.smallest()
    graph.plan(side, side)
    with pytest.raises(NetworkError, match="has no cells left"):
        graph.plan(side - 1, side - 1)
    with_cells = graph.smallest(border=1, nodes=["pointwise"])
    assert min(graph.plan(with_cells, with_cells).sizes["pointwise"]) > 2
    assert min(graph.plan(with_cells - 1, with_cells - 1).sizes["pointwise"]) <= 2


def unet(levels):
    x = image = keras.Input((None, None, 3))
    skips = []
    for number in range(levels):
        x = layers.Conv2D(4, 3, padding="same", name=f"down{number}")(x)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    for number, skip in enumerate(reversed(skips)):
        x = layers.UpSampling2D(2)(x)
        x = layers.Concatenate(name=f"join{number}")([x, skip])
    return lower(keras.Model(image, x), preprocessing="tf")


def test_sizes_whose_feature_maps_do_not_meet():
    graph = unet(3)
    misfit = graph.misfit((68, 91))
    assert (
        misfit.text == "join0 joins feature maps of unlike sizes, 22 × 16 and 22 × 17"
    )
    assert (misfit.axes, misfit.vanishes) == ((0,), False)
    assert graph.misfit((72, 96)) is None
    assert graph.smallest_size(at_least=(68, 91)) == (72, 96)
    assert graph.smallest_size() == (8, 8)
    with pytest.raises(NetworkError, match=r"join0 joins .* try 96 × 72 pixels"):
        graph.plan(68, 91)


def test_the_smallest_size_need_not_be_a_square():
    image = keras.Input((64, 32, 3))
    x = layers.MaxPooling2D(4, name="pool")(image)
    x = layers.Dense(5, name="scores")(layers.Flatten()(x))
    graph = lower(keras.Model(image, x), preprocessing="tf")
    assert graph.smallest_size() == (64, 32)
    assert graph.smallest() == 64
    assert graph.plan(64, 32).sizes["scores"] == (1, 1)
    assert graph.misfit((63, 32)).axes == (0,)
    assert graph.misfit((64, 31)).axes == (1,)
    # Of 1 + 2 cells the middle one is inside the border: 2 more at a stride of 4.
    assert graph.smallest_size(border=1, nodes=["scores"]) == (72, 40)
    assert graph.smallest_size(nodes=["pool"], at_least=(70, 1)) == (70, 32)


def test_a_layer_that_takes_one_size_only():
    class Fixed:
        """An opaque layer with weights for every cell."""

        channels, is_fixed = 3, True

        def shape(self, shapes):
            if shapes != [(1, 48, 20, 3)]:
                raise ValueError(shapes)
            return shapes[0]

    nodes = (
        Node("input", "input", (), {"channels": 3}),
        Node("fixed", "opaque", ("input",)),
    )
    graph = Graph(nodes, {}, {}, opaque={"fixed": Fixed()}, native_size=(48, 20))
    assert graph.smallest_size() == (48, 20)
    with pytest.raises(
        NetworkError, match=r"fixed cannot be run .* try 20 × 48 pixels"
    ):
        graph.plan(50, 20)
    with pytest.raises(NetworkError, match=r"run at some size .* fixed cannot be run"):
        graph.smallest_size(at_least=(49, 1))


def test_a_border_that_leaves_nothing():
    graph = lowered(small_models.sequential)
    (node,) = [n.inputs[0] for n in graph.nodes if n.name == graph.classifier]
    text = f"a border of 2 leaves nothing of {node}, which has 1 × 1 cells"
    assert graph.misfit((40, 40), border=2, nodes=[node]).text == text
    assert graph.misfit((40, 40), border=2) is None
    with pytest.raises(NetworkError, match=f"{text}; try border=0"):
        graph.smallest_size(border=2, nodes=[node])


@pytest.mark.parametrize("op", ["add", "multiply", "maximum", "subtract"])
def test_what_joins_broadcasts_along_each_axis(op, backend):
    row = {"size": [8, 1], "stride": [8, 1], "padding": "valid"}
    nodes = (
        Node("input", "input", (), {"channels": 3}),
        Node("row", "max_pool", ("input",), row),
        Node("red", "gather", ("row",), {"channels": [0]}),
        Node("both", op, ("input", "red")),
    )
    graph, image = Graph(nodes, {}, {}), picture(8, 5)
    (found,) = maps(graph, ["both"], image, backend)
    expected = getattr(np, op)(image, image[..., :1].max(axis=0, keepdims=True))
    assert off(found, expected) < 1e-6
    assert graph.channels()["both"] == 3


def test_channels_are_not_broadcast_into_a_concatenation():
    pool = Node("mean", "global_mean", ("input",))
    both = Node("both", "concat", ("input", "mean"))
    graph = Graph((Node("input", "input", (), {"channels": 3}), pool, both), {}, {})
    assert graph.misfit((1, 1)) is None
    assert "both joins feature maps of unlike sizes" in graph.misfit((4, 4)).text


def test_one_channel_times_a_vector_of_three(backend):
    def build():
        image = keras.Input((None, None, 3))
        x = layers.Conv2D(1, 3, name="one")(image) * np.float32([1, -2, 3])
        return keras.Model(image, layers.Conv2D(2, 1, name="last")(x))

    model, photo = small_models.made(build), picture(9, 8)
    graph = lower(model, preprocessing="0-1")
    assert graph.channels()[graph.node_of("multiply@0")] == 3
    (expected,) = features(model, photo)
    for other in (graph, passes.optimise(graph, ["last"])):
        assert off(maps(other, ["last"], photo, backend)[0], expected) < 1e-5


@pytest.mark.parametrize("n", range(1, 12))
@pytest.mark.parametrize(("k", "s", "d"), [(3, 2, 1), (2, 3, 1), (3, 1, 2), (5, 2, 1)])
def test_same_padding_as_keras_computes_it(n, k, s, d):
    image = keras.Input((None, None, 3))
    layer = layers.Conv2D(1, k, strides=s, dilation_rate=d, padding="same", name="c")
    graph = lower(keras.Model(image, layer(image)), preprocessing="0-1")
    shape = layer.compute_output_shape((1, n, n + 3, 3))
    assert graph.plan(n, n + 3).sizes["c"] == shape[1:3]


# -- names and errors ------------------------------------------------------------------
def test_lookups_tell_the_nearest():
    graph = lowered(small_models.sequential)
    with pytest.raises(ObjectiveError, match=r"try 'conv'"):
        graph.node_of("conw")
    assert graph.class_number("3") == 3
    with pytest.raises(ObjectiveError, match="number below 5"):
        graph.class_number("5")
    for odd in ("²", "9" * 5000):
        with pytest.raises(ObjectiveError, match="number below 5"):
            graph.class_number(odd)
    with pytest.raises(ObjectiveError, match="dense classifier"):
        lowered(small_models.pools).class_number("1")
    named = Graph(graph.nodes, graph.weights, graph.layers, graph.classifier, ("eye",))
    assert named.class_number("eye") == 0
    with pytest.raises(ObjectiveError, match="eye"):
        named.class_number("eyes")


@pytest.mark.parametrize("mode", ["tf", "0-1"])
def test_a_layer_may_be_called_input(mode, backend):
    def build():
        image = keras.Input((None, None, 3))
        x = layers.Conv2D(4, 3, name="input")(image)
        x = layers.BatchNormalization(name="norm")(x)
        return keras.Model(image, layers.Conv2D(2, 3, name="last")(x))

    graph, photo = lower(small_models.made(build), preprocessing=mode), picture(9, 8)
    nodes = [graph.node_of(name) for name in ("input", "last")]
    expected = maps(graph, nodes, photo, backend)
    found = maps(passes.optimise(graph, nodes), nodes, photo, backend)
    assert [m.shape for m in expected] == [(7, 6, 4), (5, 4, 2)]
    assert all(off(a, b) < 1e-5 for a, b in zip(found, expected, strict=True))


def test_maps_that_do_not_meet_get_a_sentence():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, padding="same")(image)
    y = layers.UpSampling2D(2)(layers.MaxPooling2D(2)(x))
    model = keras.Model(image, layers.Concatenate(name="both")([x, y]))
    graph = lower(model, preprocessing="tf")
    assert graph.plan(8, 6).sizes["both"] == (8, 6)
    sentence = "7 × 8 pixels, where both joins feature maps of unlike sizes, 7 × 8 and "
    with pytest.raises(NetworkError, match=f"{sentence}6 × 8; try 8 × 8 pixels"):
        graph.plan(8, 7)


def test_a_picture_too_small_for_an_opaque_layer():
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(4, 5, dtype="float64", name="deep"),
        ]
    )
    graph = lower(model, preprocessing="tf")
    assert "deep" in graph.opaque
    assert graph.smallest() == 5
    with pytest.raises(NetworkError, match="deep cannot be run on feature maps of 9"):
        graph.plan(4, 9)


def test_lower_refuses_what_is_no_picture_model():
    image = keras.Input((None, None, 2))
    double = keras.Model(image, layers.Conv2D(1, 1)(image))
    with pytest.raises(NetworkError, match="3 channels or 1"):
        lower(double, preprocessing="tf")
    pair = [keras.Input((4, 4, 3)), keras.Input((4, 4, 3))]
    with pytest.raises(NetworkError, match="one input"):
        lower(keras.Model(pair, layers.Add()(pair)), preprocessing="tf")
    with pytest.raises(NetworkError, match="built"):
        lower(keras.Sequential([layers.Dense(2)]), preprocessing="tf")
    with pytest.raises(NetworkError, match="built"):
        lower("inception_v3", preprocessing="tf")
    model = small_models.convolutions()
    with pytest.raises(NetworkError, match="preprocessing must be stated, one of"):
        lower(model)
    with pytest.raises(NetworkError, match="'caffe'"):
        lower(model, preprocessing="cafe")


@pytest.mark.parametrize(
    ("mode", "scale", "shift", "order"),
    [
        ("tf", 2.0, -1.0, (0, 1, 2)),
        ("caffe", 255.0, [-103.939, -116.779, -123.68], (2, 1, 0)),
        ("0-1", 1.0, 0.0, (0, 1, 2)),
        ("0-255", 255.0, 0.0, (0, 1, 2)),
    ],
)
def test_preprocessing(mode, scale, shift, order, backend):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Cropping2D(0, name="given")(image))
    graph, photo = lower(model, preprocessing=mode), picture(4, 5)
    (found,) = maps(graph, ["given"], photo, backend)
    assert found == pytest.approx(photo[..., order] * scale + np.array(shift), abs=1e-4)


@pytest.mark.parametrize("mode", ["tf", "caffe", "torch"])
def test_preprocessing_as_keras_does_it(mode, backend):
    from keras.applications.imagenet_utils import preprocess_input

    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Cropping2D(0, name="given")(image))
    graph, photo = lower(model, preprocessing=mode), picture(4, 5)
    expected = preprocess_input(photo * 255, mode=mode)
    (found,) = maps(graph, ["given"], photo, backend)
    assert found == pytest.approx(expected, abs=1e-4)


# -- files -----------------------------------------------------------------------------
@pytest.mark.parametrize("half", [False, True])
def test_save_and_load(half, tmp_path, backend):
    graph, image = lowered(small_models.sequential), picture(20, 21)
    save(graph, tmp_path / "g.safetensors", half=half)
    again = load(tmp_path / "g.safetensors")
    assert [n.name for n in again.nodes] == [n.name for n in graph.nodes]
    assert dict(again.layers) == dict(graph.layers)
    assert again.classifier == graph.classifier
    nodes = [graph.nodes[-1].name]
    (expected,), (found,) = (maps(g, nodes, image, backend) for g in (graph, again))
    assert off(found, expected) < (2e-3 if half else 1e-12)
    for key, array in again.weights.items():
        assert array.dtype == np.float32, key


def test_what_only_keras_can_run_is_not_saved(tmp_path):
    with pytest.raises(NetworkError, match="opaque"):
        save(lowered(small_models.opaque), tmp_path / "g.safetensors")
    assert not list(tmp_path.iterdir())


def test_load_refuses_strangers(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "g.safetensors"
    for contents in (b"", b"no safetensors at all", b"\xff" * 100):
        path.write_bytes(contents)
        with pytest.raises(WeightsError, match="keras-dream wrote"):
            load(path)
    for header in (None, {"keras-dream": "[]"}, {"keras-dream": "{}"}, {"a": "b"}):
        save_file({"a": np.zeros(2, np.float32)}, path, metadata=header)
        with pytest.raises(WeightsError, match="keras-dream wrote"):
            load(path)


CONV = {"stride": [1, 1], "padding": "same", "dilation": [1, 1], "groups": 1}
WIDE = {"size": [2, 2], "stride": [1, 1], "padding": "same"}
SOUND = {
    "format": "1",
    "nodes": [
        ["input", "input", [], {"channels": 3}],
        ["a", "affine", ["input"], {}],
        ["c", "conv2d", ["a"], CONV],
        ["r", "activation", ["c"], {"kind": "relu"}],
        ["p", "max_pool", ["r"], {"size": [2, 2], "stride": [2, 2], "padding": "same"}],
        ["g", "gather", ["p"], {"channels": [0, 3]}],
        ["j", "concat", ["g", "p"], {}],
    ],
    "layers": {"c": "c"},
    "classifier": None,
    "classes": [],
    "objective": "c",
}
ARRAYS = {
    "a/scale": np.ones(3, np.float32),
    "a/shift": np.zeros(1, np.float32),
    "c/kernel": np.ones((3, 3, 3, 4), np.float32),
}


def written(path, changes, arrays):
    """Writes SOUND with what lies at some paths replaced."""
    from safetensors.numpy import save_file

    header = copy.deepcopy(SOUND)
    for (*way, last), value in changes.items():
        place = header
        for step in way:
            place = place[step]
        place[last] = value
    save_file(arrays, path, metadata={"keras-dream": json.dumps(header)})
    return path


def test_load_takes_a_sound_header(tmp_path):
    graph = load(written(tmp_path / "g.safetensors", {}, ARRAYS))
    assert graph.channels()["j"] == 6


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("layers",), None),
        (("layers",), {"c": "nothing"}),
        (("layers",), {"c": ["c"]}),
        (("classifier",), "nothing"),
        (("classes",), 3),
        (("classes",), [1]),
        (("objective",), 3),
        (("objective",), "3 * * c"),
        (("nodes",), []),
        (("nodes",), {"a": 1}),
        (("nodes", 0, 3, "channels"), 1),
        (("nodes", 1, 0), "input"),
        (("nodes", 1, 0), ["a"]),
        (("nodes", 1, 1), "input"),
        (("nodes", 1, 1), "opaque"),
        (("nodes", 1, 2), ["p"]),
        (("nodes", 1, 2), []),
        (("nodes", 1, 3), None),
        (("nodes", 2, 3), {}),
        (("nodes", 2, 3, "stride"), [0, 1]),
        (("nodes", 2, 3, "stride"), [1e300, 1]),
        (("nodes", 2, 3, "stride"), 2),
        (("nodes", 2, 3, "padding"), [0, 0, 10**12, 0]),
        (("nodes", 2, 3, "groups"), 3),
        (("nodes", 2, 3, "relu"), "yes"),
        (("nodes", 3, 3, "kind"), "explode"),
        (("nodes", 3, 3, "stride"), [1, 1]),
        (("nodes", 3, 3, "padding"), [0, 0, 10**12, 0]),
        (("nodes", 3, 3, "negative_slope"), "steep"),
        (("nodes", 4, 3, "size"), [10**9, 1]),
        (("nodes", 4, 3, "size"), [True, 1]),
        (("nodes", 5, 3, "channels"), [4]),
        (("nodes", 5, 3, "channels"), []),
        (("nodes", 6, 1), "add"),
        # A window that is all padding; torch takes no more than half a window itself.
        (("nodes", 4, 3, "padding"), [2, 2, 0, 0]),
        (("nodes", 4, 3, "padding"), [0, 2, 0, 0]),
        (("nodes", 4, 3), {**WIDE, "size": [4096, 4096]}),
        (("nodes", 6, 2), ["g", *["p"] * 262_144]),
        (("nodes", 6, 0), "j" * 100_000),
        (("nodes", 6, 0), "\x1b[2J"),
        (("layers",), {"c" * 100_000: "c"}),
        (("classes",), ["c" * 100_000]),
        (("unsupported",), {"c" * 100_000: "too long"}),
        (("objective",), "c" * 100_000),
    ],
    ids=lambda value: str(value)[:40],
)
def test_load_refuses_forged_headers(way, value, tmp_path):
    with pytest.raises(WeightsError, match="keras-dream wrote"):
        load(written(tmp_path / "g.safetensors", {way: value}, ARRAYS))


@pytest.mark.parametrize("padding", [[1, 1, 0, 0], [0, 1, 0, 1]])
def test_load_takes_pools_whose_padding_is_within_their_windows(
    padding, tmp_path, backend
):
    changes = {("nodes", 4, 3, "padding"): padding}
    graph = load(written(tmp_path / "g.safetensors", changes, ARRAYS))
    (pooled,) = maps(graph, ["p"], picture(9, 9), backend)
    assert np.isfinite(pooled).all()


@pytest.mark.parametrize(
    ("doubled", "count"), [("concat", 2000), ("max_pool", 20_000)], ids=str
)
def test_load_refuses_what_grows_without_bound(doubled, count, tmp_path):
    """Channels that are doubled have as many digits as nodes."""
    attributes = {} if doubled == "concat" else WIDE
    nodes, last = [*SOUND["nodes"]], "p"
    for number in range(count):
        inputs = [last, last] if doubled == "concat" else [last]
        last = f"d{number}"
        nodes.append([last, doubled, inputs, attributes])
    path = written(tmp_path / "g.safetensors", {("nodes",): nodes}, ARRAYS)
    with pytest.raises(WeightsError, match="keras-dream wrote"):
        load(path)


def test_the_memory_of_a_forward_run_by_hand(tmp_path):
    graph = load(written(tmp_path / "g.safetensors", {}, ARRAYS))
    # The largest moment: `c` has been read by `r`, which `p` is about to read.
    assert graph.forward_bytes((8, 8), ["j"]) == 4 * 64 * (4 + 4)
    assert graph.forward_bytes((8, 8), ["input", "j"]) == 4 * 64 * (3 + 4 + 4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a/scale", np.ones(2, np.float32)),
        ("c/kernel", np.ones((3, 3, 4, 4), np.float32)),
        ("c/kernel", np.ones((3, 3, 3), np.float32)),
        ("c/kernel", np.full((3, 3, 3, 4), np.nan, np.float32)),
        ("c/bias", np.ones(5, np.float32)),
        ("a/shift", None),
    ],
)
def test_load_refuses_forged_weights(name, value, tmp_path):
    arrays = {k: a for k, a in {**ARRAYS, name: value}.items() if a is not None}
    with pytest.raises(WeightsError, match="keras-dream wrote"):
        load(written(tmp_path / "g.safetensors", {}, arrays))


def test_load_refuses_another_format(tmp_path):
    path = written(tmp_path / "g.safetensors", {("format",): "0"}, ARRAYS)
    with pytest.raises(WeightsError, match="keras-dream wrote"):
        load(path)


def test_load_refuses_a_header_without_a_bottom(tmp_path):
    from safetensors.numpy import save_file

    header = {"keras-dream": "[" * 100_000}
    save_file(ARRAYS, tmp_path / "g.safetensors", metadata=header)
    with pytest.raises(WeightsError, match="keras-dream wrote"):
        load(tmp_path / "g.safetensors")


def test_plans_hold_four_numbers_for_what_depends_on_the_size():
    nodes = (
        Node("input", "input", (), {"channels": 3}),
        Node(
            "p",
            "max_pool",
            ("input",),
            {"size": [3, 3], "stride": [2, 2], "padding": "same"},
        ),
    )
    graph = Graph(nodes, {}, {"p": "p"})
    assert graph.plan(96, 97).values == (0, 1, 1, 1)  # uneven at 96, even at 97
    assert graph.plan(96, 97).sizes["p"] == (48, 49)


def test_an_odd_name_is_suggested_as_an_objective_writes_it():
    conv = {"stride": [1, 1], "padding": "same", "dilation": [1, 1], "groups": 1}
    graph = Graph(
        nodes=(
            Node("input", "input", (), {"channels": 3}),
            Node("block:1", "conv2d", ("input",), conv),
        ),
        weights={"block:1/kernel": np.zeros((1, 1, 3, 2), np.float32)},
        layers={"block:1": "block:1", "conv2d@0": "block:1"},
    )
    with pytest.raises(ObjectiveError, match=r"try \"'block:1'\", the nearest name"):
        graph.node_of("block")


def test_a_plan_is_made_once_for_the_last_sizes_and_a_border_leaves_it_as_it_is():
    graph = unet(3)
    first = graph.plan(72, 96)
    assert graph.plan(72, 96) is first
    assert graph.misfit((72, 96), border=40, nodes=["join0"]) is not None
    assert graph.misfit((72, 96)) is None
    for side in range(8, 8 * (2 + KEPT_SIZES), 8):
        graph.plan(side, side)
    again = graph.plan(72, 96)
    assert again is not first
    assert again == first
