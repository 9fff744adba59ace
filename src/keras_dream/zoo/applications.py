"""The networks of keras.applications: what each was trained with, and its files.

File names, addresses and hashes: keras/src/applications of Keras 3.15, as Keras' own
loader has them; a test compares them. Licences: the Keras documentation's section
"License" of each model (docs/templates/applications.md of Keras 2.3), and for younger
ones the licences of the repositories that the weights were converted from.

Objectives: VGG's is F. Chollet's of 2016 (`examples/deep_dream.py` of Keras 1,
"dreamy") and Inception V3's his of 2017. The others are the output of a block in the
middle of the network, at a stride of 16 pixels, where textures become parts of things.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from keras_dream.weights.source import Source
from keras_dream.zoo import architectures, classes
from keras_dream.zoo.entry import Entry

_OTHER_FILES = "https://storage.googleapis.com/keras-applications/"
_FILES = "https://storage.googleapis.com/tensorflow/keras-applications/"
_KERNELS = "{name}_weights_tf_dim_ordering_tf_kernels{end}.h5"


@dataclass(frozen=True)
class _Family:
    """What networks by the same authors share.

    Attributes:
        paper: Who described it, when and where.
        licence: Of the weights.
        preprocessing: What they were trained with; "0-255" where the network begins
            with its own.
        folder: Where the files are.
        file: What they are called: "{name}", and "{end}" for "" or `notop`.
        notop: How the names of files without the classifier end.
    """

    paper: str
    licence: str
    preprocessing: str
    folder: str
    file: str = _KERNELS
    notop: str = "_notop"

    def entry(
        self,
        name: str,
        title: str,
        objective: str,
        parameters: int,
        hashes: tuple[str, str],
        *,
        stem: str | None = None,
        published: str | None = None,
        build: architectures.Build | None = None,
    ) -> Entry:
        """Returns one of its networks.

        Args:
            name: The network's name.
            title: Its constructor's name in keras.applications.
            objective: Its own good objective.
            parameters: How many it has without the classifier.
            hashes: md5 or sha256, of the file with the classifier and the one without.
            stem: "{name}" in its files; None takes the network's name.
            published: How their names begin where they are published, if otherwise.
            build: Its architecture, where it is not just Keras' own.
        """
        sources: list[Source] = []
        for digest, end in ((hashes[1], self.notop), (hashes[0], "")):
            file = self.file.format(name=stem or name, end=end)
            remote = published and f"{published}{end.replace('_', '-')}.h5"
            is_md5 = len(digest) == 32
            source = Source(
                file=file,
                url=self.folder + (remote or file),
                md5=digest if is_md5 else None,
                sha256=None if is_md5 else digest,
                classifier=not end,
            )
            sources.append(source)
        return Entry(
            name=name,
            about=f"{title} on ImageNet",
            licence=self.licence,
            preprocessing=self.preprocessing,
            paper=self.paper,
            objective=objective,
            parameters=parameters,
            application=title,
            build=build or architectures.application(title),
            sources=tuple(sources),
            classes=classes.imagenet,
        )


def _vgg() -> Iterator[Entry]:
    for number, parameters, hashes in (
        (16, 14_714_688, (
            "64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc")),
        (19, 20_024_384, (
            "cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6")),
    ):  # fmt: skip
        family = _Family(
            "Simonyan and Zisserman 2014, arXiv:1409.1556",
            "CC-BY-4.0",
            "caffe",
            f"{_FILES}vgg{number}/",
        )
        dreamy = "5*block5_conv1 + 2*block5_conv2"
        yield family.entry(f"vgg{number}", f"VGG{number}", dreamy, parameters, hashes)


def _resnets() -> Iterator[Entry]:
    first = _Family(
        "He et al. 2015, arXiv:1512.03385", "MIT", "caffe", f"{_FILES}resnet/"
    )
    second = _Family(
        "He et al. 2016, arXiv:1603.05027", "BSD-3-Clause", "tf", f"{_FILES}resnet/"
    )
    # Of the fourth stage's 6, 23 and 36 blocks, the middle one.
    for depth, block, parameters, hashes in (
        (50, 3, 23_587_712, (
            "2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626")),
        (101, 12, 42_658_176, (
            "f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21")),
        (152, 18, 58_370_944, (
            "100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c")),
    ):  # fmt: skip
        name, layer = f"resnet{depth}", f"conv4_block{block}_out"
        yield first.entry(name, f"ResNet{depth}", layer, parameters, hashes)
    for depth, block, parameters, hashes in (
        (50, 3, 23_564_800, (
            "3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917")),
        (101, 12, 42_626_560, (
            "6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5")),
        (152, 18, 58_331_648, (
            "a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33")),
    ):  # fmt: skip
        title, layer = f"ResNet{depth}V2", f"conv4_block{block}_out"
        yield second.entry(
            f"resnet{depth}_v2", title, layer, parameters, hashes, stem=title.lower()
        )


def _inceptions() -> Iterator[Entry]:
    yield _Family(
        "Szegedy et al. 2015, arXiv:1512.00567",
        "Apache-2.0",
        "tf",
        f"{_FILES}inception_v3/",
    ).entry(
        "inception_v3",
        "InceptionV3",
        # F. Chollet's weights of 2017: the classic look.
        "0.2*mixed2 + 3*mixed3 + 2*mixed4 + 1.5*mixed5",
        21_802_784,
        ("9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63"),
    )
    yield _Family(
        "Szegedy et al. 2016, arXiv:1602.07261",
        "Apache-2.0",
        "tf",
        f"{_FILES}inception_resnet_v2/",
    ).entry(
        "inception_resnet_v2",
        "InceptionResNetV2",
        "block17_10_ac",
        54_336_736,
        ("e693bd0210a403b3192acc6073ad2e96", "d19885ff4a710c122648d3b5c3b684e4"),
    )
    yield _Family(
        "Chollet 2016, arXiv:1610.02357", "MIT", "tf", f"{_FILES}xception/"
    ).entry(
        "xception",
        "Xception",
        "block9_sepconv1_act",
        20_861_480,
        ("0a58e3b7378bc2990ea3b43d5981f1f6", "b0042744bf5b25fce3cb969f33bebb97"),
    )


def _mobilenets() -> Iterator[Entry]:
    # Keras states no hashes of these four files. The md5s are those that MIA states
    # (MIAnalyzer/MIA on GitHub), whose copies of Keras' other files all have the hash
    # that Keras states.
    yield _Family(
        "Howard et al. 2017, arXiv:1704.04861",
        "Apache-2.0",
        "tf",
        f"{_FILES}mobilenet/",
        "mobilenet_1_0_224_tf{end}.h5",
        "_no_top",
    ).entry(
        "mobilenet",
        "MobileNet",
        "conv_pw_9_relu",
        3_228_864,
        ("03394917f9a9ea3362f46332a5b6a215", "725ccbd03d61d7ced5b5c4cd17e7d527"),
    )
    yield _Family(
        "Sandler et al. 2018, arXiv:1801.04381",
        "Apache-2.0",
        "tf",
        f"{_FILES}mobilenet_v2/",
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224{end}.h5",
        "_no_top",
    ).entry(
        "mobilenet_v2",
        "MobileNetV2",
        "block_9_expand_relu",
        2_257_984,
        ("321911b381f6fd09b744356f6796ee18", "f1a68526548f7541cda07e19ba6c85f4"),
    )
    third = _Family(
        "Howard et al. 2019, arXiv:1905.02244",
        "Apache-2.0",
        "0-255",
        f"{_FILES}mobilenet_v3/",
        "weights_mobilenet_v3_{name}_224_1.0_float{end}.h5",
        "_no_top_v2",
    )
    for size, layer, parameters, hashes in (
        ("small", "expanded_conv_5_add", 939_120, (
            "8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836")),
        ("large", "expanded_conv_9_add", 2_996_352, (
            "59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389")),
    ):  # fmt: skip
        title = f"MobileNetV3{size.title()}"
        yield third.entry(
            f"mobilenet_v3_{size}", title, layer, parameters, hashes, stem=size
        )


def _densenets() -> Iterator[Entry]:
    family = _Family(
        "Huang et al. 2016, arXiv:1608.06993",
        "BSD-3-Clause",
        "torch",
        f"{_FILES}densenet/",
    )
    # Of the third block's 24, 32 and 48 layers, the middle one.
    for depth, middle, parameters, hashes in (
        (121, 12, 7_037_504, (
            "9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738")),
        (169, 16, 12_642_880, (
            "d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b")),
        (201, 24, 18_321_984, (
            "1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1")),
    ):  # fmt: skip
        name, layer = f"densenet{depth}", f"conv4_block{middle}_concat"
        yield family.entry(name, f"DenseNet{depth}", layer, parameters, hashes)


def _nasnets() -> Iterator[Entry]:
    family = _Family(
        "Zoph et al. 2017, arXiv:1707.07012",
        "Apache-2.0",
        "tf",
        f"{_FILES}nasnet/",
        "{name}{end}.h5",
        "_no_top",
    )
    yield family.entry(
        "nasnet_mobile",
        "NASNetMobile",
        "normal_concat_6",
        4_269_716,
        ("020fb642bf7360b370c678b08e0adf61", "1ed92395b5b598bdda52abe5c0dbfd63"),
        published="NASNet-mobile",
        build=architectures.nasnet_mobile,
    )
    yield family.entry(
        "nasnet_large",
        "NASNetLarge",
        "normal_concat_9",
        84_916_818,
        ("11577c9a518f0070763c2b964a382f17", "d81d89dc07e6e56530c4e77faddd61b5"),
        published="NASNet-large",
        build=architectures.nasnet_large,
    )


def _efficientnets() -> Iterator[Entry]:
    family = _Family(
        "Tan and Le 2019, arXiv:1905.11946",
        "Apache-2.0",
        "0-255",
        _OTHER_FILES,
        "{name}{end}.h5",
    )
    for number, (parameters, *hashes) in enumerate((
        (4_049_571,
         "902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d"),
        (6_575_239,
         "1d254153d4ab51201f1646940f018540", "74c4e6b3e1f6a1eea24c589628592432"),
        (7_768_569,
         "b15cce36ff4dcbd00b6dd88e7857a6ad", "111f8e2ac8aa800a7a99e3239f7bfb39"),
        (10_783_535,
         "ffd1fdc53d0ce67064dc6a9c7960ede0", "af6d107764bb5b1abb91932881670226"),
        (17_673_823,
         "18c95ad55216b8f92d7e70b3a046e2fc", "ebc24e6d6c33eaebbd558eafbeedf1ba"),
        (28_513_527,
         "ace28f2a6363774853a83a0b21b9421a", "38879255a25d3c92d5e44e04ae6cec6f"),
        (40_960_143,
         "165f6e37dce68623721b423839de8be5", "9ecce42647a20130c1f39a5d4cb75743"),
        (64_097_687,
         "8c03f828fec3ef71311cd463b6759d99", "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    )):  # fmt: skip
        title = f"EfficientNetB{number}"
        yield family.entry(
            f"efficientnet_b{number}",
            title,
            "block5c_add",
            parameters,
            (hashes[0], hashes[1]),
            stem=title.lower(),
            build=architectures.efficientnet(title),
        )


def _efficientnets_v2() -> Iterator[Entry]:
    family = _Family(
        "Tan and Le 2021, arXiv:2104.00298",
        "Apache-2.0",
        "0-255",
        f"{_FILES}efficientnet_v2/",
        "efficientnetv2-{name}{end}.h5",
    )
    for size, parameters, hashes in (
        ("b0", 5_919_312, (
            "21ecbf6da12460d5c40bb2f29ceb2188", "893217f2bb855e2983157299931e43ff")),
        ("b1", 6_931_124, (
            "069f0534ff22adf035c89e2d9547a9dc", "0e80663031ca32d657f9caa404b6ec37")),
        ("b2", 8_769_374, (
            "424e49f28180edbde1e94797771950a7", "1dfe2e7a5d45b6632553a8961ea609eb")),
        ("b3", 12_930_622, (
            "1f1fc43bd98a6e4fd8fdfd551e02c7a0", "f6abf7b5849ac99a89b50dd3fd532856")),
        ("s", 20_331_360, (
            "e1d88a8495beba45748fedd0cecbe016", "af0682fb74e8c54910f2d4393339c070")),
        ("m", 53_150_388, (
            "a3bf6aa3276309f4fc6a34aa114c95cd", "1b8dc055df72dde80d614482840fe342")),
        ("l", 117_746_848, (
            "27e6d408b53c7ebc868fefa357689935", "b0b66b5c863aef5b46e8608fe1711615")),
    ):  # fmt: skip
        yield family.entry(
            f"efficientnet_v2_{size}",
            f"EfficientNetV2{size.upper()}",
            "block5e_add",
            parameters,
            hashes,
            stem=size,
        )


def _convnexts() -> Iterator[Entry]:
    family = _Family(
        "Liu et al. 2022, arXiv:2201.03545",
        "MIT",
        "0-255",
        f"{_FILES}convnext/",
        "{name}{end}.h5",
    )
    # Sums have no names; of the third stage's 9 or 27 blocks, the middle one.
    for size, layer, parameters, hashes in (
        ("Tiny", "add@10", 27_820_128, (
            "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
            "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1")),
        ("Small", "add@19", 49_454_688, (
            "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
            "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab")),
        ("Base", "add@19", 87_566_464, (
            "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
            "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45")),
        ("Large", "add@19", 196_230_336, (
            "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
            "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd")),
        ("XLarge", "add@19", 348_147_968, (
            "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
            "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05")),
    ):  # fmt: skip
        title = f"ConvNeXt{size}"
        yield family.entry(f"convnext_{size.lower()}", title, layer, parameters, hashes)


def entries() -> Iterator[Entry]:
    """Yields every image network of keras.applications."""
    yield from _vgg()
    yield from _inceptions()
    yield from _resnets()
    yield from _densenets()
    yield from _nasnets()
    yield from _mobilenets()
    yield from _efficientnets()
    yield from _efficientnets_v2()
    yield from _convnexts()
