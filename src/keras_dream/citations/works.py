"""The works that parts of a dream come from, as text and as BibTeX."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """A paper, a book, a page or a program.

    Attributes:
        key: Its key in BibTeX: the first author and the year.
        authors: As in BibTeX: "Surname, Given and Surname, Given and others".
        title: Its title.
        year: When it appeared first.
        where: The journal, the conference, the publisher or the kind of page.
        kind: The entry's kind in BibTeX.
        arxiv: Its number there, or "".
        doi: Its DOI, or "".
        url: Where it is, where neither says so.
    """

    key: str
    authors: str
    title: str
    year: int
    where: str = ""
    kind: str = "inproceedings"
    arxiv: str = ""
    doi: str = ""
    url: str = ""

    @property
    def link(self) -> str:
        """The address of the work."""
        if self.url:
            return self.url
        if self.arxiv:
            return f"https://arxiv.org/abs/{self.arxiv}"
        return f"https://doi.org/{self.doi}" if self.doi else ""

    @property
    def text(self) -> str:
        """The work as a line of a bibliography."""
        where = f" {self.where}." if self.where else ""
        names = ", ".join(map(_short, self.authors.split(" and ")))
        names = names.replace(", et al.", " et al.").replace("{", "").replace("}", "")
        return f"{names} ({self.year}). {self.title}.{where} {self.link}".rstrip()

    @property
    def bibtex(self) -> str:
        """The work as an entry in BibTeX."""
        places = {
            "article": "journal",
            "inproceedings": "booktitle",
            "book": "publisher",
            "misc": "howpublished",
            "techreport": "institution",
        }
        fields = {
            "author": self.authors,
            "title": f"{{{self.title}}}",
            "year": str(self.year),
            places[self.kind]: self.where,
            "eprint": self.arxiv,
            "archiveprefix": "arXiv" if self.arxiv else "",
            "doi": self.doi,
            "url": self.link,
        }
        lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
        return f"@{self.kind}{{{self.key},\n" + ",\n".join(lines) + "\n}"


def _short(name: str) -> str:
    """Returns "A. Mordvintsev" for "Mordvintsev, Alexander"."""
    if name == "others":
        return "et al."
    if name.startswith("{"):  # a group, which has no initials
        return name
    surname, _, given = name.partition(", ")
    initials = " ".join(f"{part[0]}." for part in given.split())
    return f"{initials} {surname}".strip()


_NETWORKS = (
    Work(
        key="iandola2016",
        authors="Iandola, Forrest N. and Han, Song and Moskewicz, Matthew W. and "
        "Ashraf, Khalid and Dally, William J. and Keutzer, Kurt",
        title="SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and "
        "<0.5MB model size",
        year=2016,
        where="arXiv",
        kind="misc",
        arxiv="1602.07360",
    ),
    Work(
        key="szegedy2014",
        authors="Szegedy, Christian and Liu, Wei and Jia, Yangqing and others",
        title="Going Deeper with Convolutions",
        year=2014,
        where="CVPR 2015",
        arxiv="1409.4842",
    ),
    Work(
        key="zhou2016",
        authors="Zhou, Bolei and Khosla, Aditya and Lapedriza, Agata and Torralba, "
        "Antonio and Oliva, Aude",
        title="Places: An Image Database for Deep Scene Understanding",
        year=2016,
        where="arXiv",
        kind="misc",
        arxiv="1610.02055",
    ),
    Work(
        key="simonyan2014",
        authors="Simonyan, Karen and Zisserman, Andrew",
        title="Very Deep Convolutional Networks for Large-Scale Image Recognition",
        year=2014,
        where="ICLR 2015",
        arxiv="1409.1556",
    ),
    Work(
        key="szegedy2015",
        authors="Szegedy, Christian and Vanhoucke, Vincent and Ioffe, Sergey and "
        "Shlens, Jonathon and Wojna, Zbigniew",
        title="Rethinking the Inception Architecture for Computer Vision",
        year=2015,
        where="CVPR 2016",
        arxiv="1512.00567",
    ),
    Work(
        key="szegedy2016",
        authors="Szegedy, Christian and Ioffe, Sergey and Vanhoucke, Vincent and Alemi,"
        " Alex",
        title="Inception-v4, Inception-ResNet and the Impact of Residual Connections "
        "on Learning",
        year=2016,
        where="AAAI 2017",
        arxiv="1602.07261",
    ),
    Work(
        key="chollet2016",
        authors="Chollet, François",
        title="Xception: Deep Learning with Depthwise Separable Convolutions",
        year=2016,
        where="CVPR 2017",
        arxiv="1610.02357",
    ),
    Work(
        key="he2015",
        authors="He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian",
        title="Deep Residual Learning for Image Recognition",
        year=2015,
        where="CVPR 2016",
        arxiv="1512.03385",
    ),
    Work(
        key="he2016",
        authors="He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian",
        title="Identity Mappings in Deep Residual Networks",
        year=2016,
        where="ECCV 2016",
        arxiv="1603.05027",
    ),
    Work(
        key="huang2016",
        authors="Huang, Gao and Liu, Zhuang and van der Maaten, Laurens and Weinberger,"
        " Kilian Q.",
        title="Densely Connected Convolutional Networks",
        year=2016,
        where="CVPR 2017",
        arxiv="1608.06993",
    ),
    Work(
        key="zoph2017",
        authors="Zoph, Barret and Vasudevan, Vijay and Shlens, Jonathon "
        "and Le, Quoc V.",
        title="Learning Transferable Architectures for Scalable Image Recognition",
        year=2017,
        where="CVPR 2018",
        arxiv="1707.07012",
    ),
    Work(
        key="howard2017",
        authors="Howard, Andrew G. and Zhu, Menglong and Chen, Bo and others",
        title="MobileNets: Efficient Convolutional Neural Networks for Mobile Vision "
        "Applications",
        year=2017,
        where="arXiv",
        kind="misc",
        arxiv="1704.04861",
    ),
    Work(
        key="sandler2018",
        authors="Sandler, Mark and Howard, Andrew and Zhu, Menglong and Zhmoginov, "
        "Andrey and Chen, Liang-Chieh",
        title="MobileNetV2: Inverted Residuals and Linear Bottlenecks",
        year=2018,
        where="CVPR 2018",
        arxiv="1801.04381",
    ),
    Work(
        key="howard2019",
        authors="Howard, Andrew and Sandler, Mark and Chu, Grace and others",
        title="Searching for MobileNetV3",
        year=2019,
        where="ICCV 2019",
        arxiv="1905.02244",
    ),
    Work(
        key="tan2019",
        authors="Tan, Mingxing and Le, Quoc V.",
        title="EfficientNet: Rethinking Model Scaling for Convolutional Neural "
        "Networks",
        year=2019,
        where="ICML 2019",
        arxiv="1905.11946",
    ),
    Work(
        key="tan2021",
        authors="Tan, Mingxing and Le, Quoc V.",
        title="EfficientNetV2: Smaller Models and Faster Training",
        year=2021,
        where="ICML 2021",
        arxiv="2104.00298",
    ),
    Work(
        key="liu2022",
        authors="Liu, Zhuang and Mao, Hanzi and Wu, Chao-Yuan and Feichtenhofer, "
        "Christoph and Darrell, Trevor and Xie, Saining",
        title="A ConvNet for the 2020s",
        year=2022,
        where="CVPR 2022",
        arxiv="2201.03545",
    ),
    Work(
        key="russakovsky2014",
        authors="Russakovsky, Olga and Deng, Jia and Su, Hao and others",
        title="ImageNet Large Scale Visual Recognition Challenge",
        year=2014,
        where="International Journal of Computer Vision 115, 2015",
        kind="article",
        arxiv="1409.0575",
    ),
)

_DREAMS = (
    Work(
        key="mordvintsev2015",
        authors="Mordvintsev, Alexander and Olah, Christopher and Tyka, Mike",
        title="Inceptionism: Going Deeper into Neural Networks",
        year=2015,
        where="Google Research Blog",
        kind="misc",
        url="https://research.google/blog/inceptionism-going-deeper-into-neural-"
        "networks/",
    ),
    Work(
        key="deepdream2015",
        authors="Mordvintsev, Alexander and Olah, Christopher and Tyka, Mike",
        title="google/deepdream",
        year=2015,
        where="GitHub",
        kind="misc",
        url="https://github.com/google/deepdream",
    ),
    Work(
        key="mordvintsev2016",
        authors="Mordvintsev, Alexander",
        title="DeepDreaming with TensorFlow",
        year=2016,
        where="tutorial of TensorFlow 1",
        kind="misc",
        url="https://github.com/tensorflow/tensorflow/tree/r1.0/tensorflow/examples"
        "/tutorials/deepdream",
    ),
    Work(
        key="chollet2017",
        authors="Chollet, François",
        title="Deep Learning with Python",
        year=2017,
        where="Manning",
        kind="book",
        url="https://www.manning.com/books/deep-learning-with-python",
    ),
    Work(
        key="chollet2021",
        authors="Chollet, François",
        title="Deep Learning with Python, Second Edition",
        year=2021,
        where="Manning",
        kind="book",
        url="https://www.manning.com/books/deep-learning-with-python-second-edition",
    ),
    Work(
        key="kerasio2016",
        authors="Chollet, François",
        title="Deep Dream",
        year=2016,
        where="example on keras.io",
        kind="misc",
        url="https://keras.io/examples/generative/deep_dream/",
    ),
    Work(
        key="tensorflow2019",
        authors="{The TensorFlow Authors}",
        title="DeepDream",
        year=2019,
        where="tutorial on tensorflow.org",
        kind="misc",
        url="https://www.tensorflow.org/tutorials/generative/deepdream",
    ),
    Work(
        key="gordic2021",
        authors="Gordić, Aleksa",
        title="pytorch-deepdream",
        year=2021,
        where="GitHub",
        kind="misc",
        url="https://github.com/gordicaleksa/pytorch-deepdream",
    ),
    Work(
        key="neuraldream2020",
        authors="{ProGamerGov}",
        title="neural-dream",
        year=2020,
        where="GitHub",
        kind="misc",
        url="https://github.com/ProGamerGov/neural-dream",
    ),
    Work(
        key="crowson2016",
        authors="Crowson, Katherine",
        title="deep_dream",
        year=2016,
        where="GitHub",
        kind="misc",
        url="https://github.com/crowsonkb/deep_dream",
    ),
    Work(
        key="lucid2018",
        authors="{The Lucid Authors}",
        title="tensorflow/lucid",
        year=2018,
        where="GitHub",
        kind="misc",
        url="https://github.com/tensorflow/lucid",
    ),
)

_METHODS = (
    Work(
        key="olah2017",
        authors="Olah, Chris and Mordvintsev, Alexander and Schubert, Ludwig",
        title="Feature Visualization",
        year=2017,
        where="Distill",
        kind="article",
        doi="10.23915/distill.00007",
    ),
    Work(
        key="olah2018",
        authors="Olah, Chris and Satyanarayan, Arvind and Johnson, Ian and Carter, Shan"
        " and Schubert, Ludwig and Ye, Katherine and Mordvintsev, Alexander",
        title="The Building Blocks of Interpretability",
        year=2018,
        where="Distill",
        kind="article",
        doi="10.23915/distill.00010",
    ),
    Work(
        key="mordvintsev2018",
        authors="Mordvintsev, Alexander and Pezzotti, Nicola and Schubert, Ludwig and "
        "Olah, Chris",
        title="Differentiable Image Parameterizations",
        year=2018,
        where="Distill",
        kind="article",
        doi="10.23915/distill.00012",
    ),
    Work(
        key="fel2023",
        authors="Fel, Thomas and Boissin, Thibaut and Boutin, Victor and others",
        title="Unlocking Feature Visualization for Deeper Networks with MAgnitude "
        "Constrained Optimization",
        year=2023,
        where="NeurIPS 2023",
        arxiv="2306.06805",
    ),
    Work(
        key="field1987",
        authors="Field, David J.",
        title="Relations between the statistics of natural images and the response "
        "properties of cortical cells",
        year=1987,
        where="Journal of the Optical Society of America A 4",
        kind="article",
        doi="10.1364/JOSAA.4.002379",
    ),
    Work(
        key="burt1983",
        authors="Burt, Peter J. and Adelson, Edward H.",
        title="The Laplacian Pyramid as a Compact Image Code",
        year=1983,
        where="IEEE Transactions on Communications 31",
        kind="article",
        doi="10.1109/TCOM.1983.1095851",
    ),
    Work(
        key="simonyan2013",
        authors="Simonyan, Karen and Vedaldi, Andrea and Zisserman, Andrew",
        title="Deep Inside Convolutional Networks: Visualising Image Classification "
        "Models and Saliency Maps",
        year=2013,
        where="arXiv",
        kind="misc",
        arxiv="1312.6034",
    ),
    Work(
        key="gatys2015",
        authors="Gatys, Leon A. and Ecker, Alexander S. and Bethge, Matthias",
        title="Texture Synthesis Using Convolutional Neural Networks",
        year=2015,
        where="NeurIPS 2015",
        arxiv="1505.07376",
    ),
    Work(
        key="nguyen2014",
        authors="Nguyen, Anh and Yosinski, Jason and Clune, Jeff",
        title="Deep Neural Networks are Easily Fooled: High Confidence Predictions "
        "for Unrecognizable Images",
        year=2014,
        where="CVPR 2015",
        arxiv="1412.1897",
    ),
    Work(
        key="rudin1992",
        authors="Rudin, Leonid I. and Osher, Stanley and Fatemi, Emad",
        title="Nonlinear total variation based noise removal algorithms",
        year=1992,
        where="Physica D 60",
        kind="article",
        doi="10.1016/0167-2789(92)90242-F",
    ),
    Work(
        key="kingma2014",
        authors="Kingma, Diederik P. and Ba, Jimmy",
        title="Adam: A Method for Stochastic Optimization",
        year=2014,
        where="ICLR 2015",
        arxiv="1412.6980",
    ),
    Work(
        key="liu1989",
        authors="Liu, Dong C. and Nocedal, Jorge",
        title="On the limited memory BFGS method for large scale optimization",
        year=1989,
        where="Mathematical Programming 45",
        kind="article",
        doi="10.1007/BF01589116",
    ),
    Work(
        key="polyak1964",
        authors="Polyak, Boris T.",
        title="Some methods of speeding up the convergence of iteration methods",
        year=1964,
        where="USSR Computational Mathematics and Mathematical Physics 4",
        kind="article",
        doi="10.1016/0041-5553(64)90137-5",
    ),
    Work(
        key="perlin1985",
        authors="Perlin, Ken",
        title="An image synthesizer",
        year=1985,
        where="SIGGRAPH 1985",
        doi="10.1145/325334.325247",
    ),
    Work(
        key="duchon1979",
        authors="Duchon, Claude E.",
        title="Lanczos Filtering in One and Two Dimensions",
        year=1979,
        where="Journal of Applied Meteorology 18",
        kind="article",
        doi="10.1175/1520-0450(1979)018<1016:LFIOAT>2.0.CO;2",
    ),
    Work(
        key="ottosson2020",
        authors="Ottosson, Björn",
        title="A perceptual color space for image processing",
        year=2020,
        where="web page",
        kind="misc",
        url="https://bottosson.github.io/posts/oklab/",
    ),
    Work(
        key="gonzalez2018",
        authors="Gonzalez, Rafael C. and Woods, Richard E.",
        title="Digital Image Processing",
        year=2018,
        where="Pearson",
        kind="book",
    ),
    Work(
        key="reinhard2001",
        authors="Reinhard, Erik and Ashikhmin, Michael and Gooch, Bruce and Shirley, "
        "Peter",
        title="Color transfer between images",
        year=2001,
        where="IEEE Computer Graphics and Applications 21",
        kind="article",
        doi="10.1109/38.946629",
    ),
    Work(
        key="pitie2007",
        authors="Pitié, François and Kokaram, Anil",
        title="The linear Monge-Kantorovitch linear colour mapping for example-based "
        "colour transfer",
        year=2007,
        where="European Conference on Visual Media Production",
        doi="10.1049/cp:20070055",
    ),
    Work(
        key="gillespie1986",
        authors="Gillespie, Alan R. and Kahle, Anne B. and Walker, Richard E.",
        title="Color enhancement of highly correlated images. I. Decorrelation and "
        "HSI contrast stretches",
        year=1986,
        where="Remote Sensing of Environment 20",
        kind="article",
        doi="10.1016/0034-4257(86)90044-1",
    ),
)

_FILMS = (
    Work(
        key="kroeger2016",
        authors="Kroeger, Till and Timofte, Radu and Dai, Dengxin and Van Gool, Luc",
        title="Fast Optical Flow using Dense Inverse Search",
        year=2016,
        where="ECCV 2016",
        arxiv="1603.03590",
    ),
    Work(
        key="ruder2016",
        authors="Ruder, Manuel and Dosovitskiy, Alexey and Brox, Thomas",
        title="Artistic style transfer for videos",
        year=2016,
        where="GCPR 2016",
        arxiv="1604.08610",
    ),
    Work(
        key="lai2018",
        authors="Lai, Wei-Sheng and Huang, Jia-Bin and Wang, Oliver and Shechtman, Eli "
        "and Yumer, Ersin and Yang, Ming-Hsuan",
        title="Learning Blind Video Temporal Consistency",
        year=2018,
        where="ECCV 2018",
        arxiv="1808.00449",
    ),
)

_PROGRAMS = (
    Work(
        key="kerasdream",
        authors="{The keras-dream authors}",
        title="keras-dream: DeepDream on Keras 3",
        year=2026,
        where="software",
        kind="misc",
    ),
    Work(
        key="keras2015",
        authors="Chollet, François and others",
        title="Keras",
        year=2015,
        where="software",
        kind="misc",
        url="https://keras.io",
    ),
    Work(
        key="pytorch2019",
        authors="Paszke, Adam and Gross, Sam and Massa, Francisco and others",
        title="PyTorch: An Imperative Style, High-Performance Deep Learning Library",
        year=2019,
        where="NeurIPS 2019",
        arxiv="1912.01703",
    ),
    Work(
        key="jax2018",
        authors="Bradbury, James and Frostig, Roy and Hawkins, Peter and others",
        title="JAX: composable transformations of Python+NumPy programs",
        year=2018,
        where="software",
        kind="misc",
        url="https://github.com/jax-ml/jax",
    ),
    Work(
        key="abadi2016",
        authors="Abadi, Martín and Agarwal, Ashish and Barham, Paul and others",
        title="TensorFlow: Large-Scale Machine Learning on Heterogeneous Distributed "
        "Systems",
        year=2016,
        where="arXiv",
        kind="misc",
        arxiv="1603.04467",
    ),
)

WORKS: Mapping[str, Work] = {
    work.key: work for work in (*_DREAMS, *_METHODS, *_FILMS, *_NETWORKS, *_PROGRAMS)
}
"""Every work, by its key."""
