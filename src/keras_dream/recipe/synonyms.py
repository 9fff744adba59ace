"""What other programs call our settings, and what is meant by it here.

The names are those of google/deepdream and its command lines (DeepDreamVideo,
deepdreamer, crowsonkb/deep_dream), neural-dream, pytorch-deepdream, lucid, xplique,
Horama, torch-dreams, stylegan3-fun, dreamify, DeepDream-MLX, the TensorFlow tutorial
and neural style transfer.
"""

import difflib
from collections.abc import Collection, Mapping

_MEANT = {
    "--steps 30": "iterations num-iterations iteration iters iter iter-n itern itr "
    "n-iter num-iter num-iters num-steps nb-steps n-steps total-steps octave-iter "
    "epochs n num-gradient-ascent-iterations max-iter",
    "--step-size 0.005 | in units of the 0–1 range": "lr learning-rate rate "
    "step-length alpha-step",
    "--octaves 5": "octave-n num-octaves n-octaves octave-num octave-count oct levels "
    "pyramid-size pyramid-levels scales num-scales per-octave-count",
    "--octave-scale 1.4": "octs octave-ratio pyramid-ratio scale-factor",
    "--octave-scale 1.4 | for the octaves, or --size 1600 for the result": "scale",
    "--objective 'mixed4 + 0.5*mixed3'": "layers layer l layers-to-use dream-layers "
    "layer-name layer-names end target-layer features end-layer objectives "
    "objective-f layer-weights",
    "--objective mixed4:11": "channel channels channel-index filter-index unit",
    "--objective 'mixed4:strongest(8)'": "channel-mode strongest",
    "--objective 'neuron(mixed4, 11, center)'": "neuron",
    "--objective class:eye": "class class-name target target-class label label-file "
    "class-id logit prompt text",
    "--objective 'guide(photo2.jpg, mixed4)'": "guide guide-image gi guides "
    "style-image style-img reference reference-image",
    "--objective 'mixed3 + 0.5*guide(photo2.jpg, mixed4)'": "style-weight guide-weight",
    "--objective 'mixed4 - 0.1*tv'": "tv-weight tv tv-reg total-variation smoothness "
    "continuity",
    "--objective 'mixed4 - 0.1*l2'": "l2 l2-weight l2-reg dream-l2 weight-decay",
    "--objective 'mixed4 - 0.1*l1'": "l1 l1-weight l1-reg",
    "--loss l2_mean": "loss-mode loss-fn loss-type objective-mode",
    "--network inception_v3": "model m net arch architecture model-name model-type "
    "backbone cnn base-model",
    "--weights FILE": "model-file model-path caffemodel ckpt checkpoint-file "
    "pretrained-weights",
    "--preprocessing tf": "model-mean preprocess mean-image normalize-input",
    "--preset reef | and see `dream presets`": "style look theme effect filter mode "
    "art-style",
    "--out dream.png": "output output-image outfile output-file output-path result "
    "save out-file dest destination save-image image-name",
    "--out FOLDER": "output-dir out-dir output-folder outdir results-dir",
    "the photo without a flag: dream photo.jpg": "input image content i photo img "
    "content-image input-image image-path img-path input-file input-path source src "
    "base-image target-image",
    "the folder without a flag: dream photos/": "input-dir folder dir input-folder "
    "images batch",
    "--device cuda": "gpu gpuid gpu-id gpus cuda use-gpu use-cuda mps",
    "--device cpu": "cpu no-gpu force-cpu",
    "--threads 4": "cpu-workers num-threads workers jobs j nproc",
    "--precision bfloat16": "fp16 half bf16 amp mixed-precision dtype",
    "--backend torch": "framework keras-backend",
    "--jitter 16": "shift roll spatial-shift-size jitter-size max-jitter",
    "--jitter 0": "disable-roll no-jitter no-roll",
    "--normalizer std": "normalize normalise grad-norm normalize-gradient "
    "normalize-weights",
    "--seed 3": "random-seed rng rng-seed noise-seed seeds",
    "--canvas fourier": "use-fft fft parametrization param-f fft-param fourier",
    "--canvas 'fourier(decay=0.5)'": "fft-decay decay-power decay",
    "--max-loss 10": "loss-threshold threshold thresholds max-objective",
    "--clamp": "clip clipping",
    "--no-clamp": "no-clip",
    "--detail none": "unzoom-octave no-detail",
    "--blend 0.6": "opacity alpha mix amount blend-alpha fade",
    "--resume": "continue go-on save-canvas checkpoint",
    "--from photo-dream.png": "from-dream from-image",
    "--strength 2": "stronger more strong bolder wilder",
    "--strength 0.5": "weaker less subtle softer gentle intensity power dream-weight "
    "style-strength",
    "--keep-colors": "original-colors original-colours preserve-color "
    "preserve-colors keep-colours keep-color luma luminance-only",
    "--size 1600": "image-size img-size img-width width height max-size max-dim "
    "max-width max-height resolution max-input-size imsize resize output-size",
    "--colors 'chroma(gain=1.5)'": "saturation vibrance chroma colour colours color",
    "--colors contrast_lock": "contrast adjust-contrast",
    "--colors 'palette(photo2.jpg)'": "palette",
    "--filters 'smooth(sigma=1)'": "blur sigma smooth smoothing gaussian "
    "smoothing-coefficient gradient-smoothing grad-blur",
    "--filters 'laplacian(levels=4)'": "lap-scale lap-n laplacian laplacian-norm",
    "--filters 'clip(limit=3)'": "grad-clip clip-grad gradient-clip",
    "--canvas decorrelated": "decorrelate color-decorrelation",
    "--canvas maco": "maco",
    "--transforms 'flip + rotate(degrees=10)'": "random-transforms augment rotate "
    "augmentation rotation rotate-degrees flip flips",
    "--transforms 'scale(low=0.9, high=1.1)'": "random-scale scale-max scale-min",
    "--transforms 'crop(size=224, count=6)'": "crops crop crops-per-iteration "
    "model-input-size",
    "--transforms 'pad(size=32)'": "pad padding",
    "--stop 'plateau(steps=5)'": "early-stopping patience",
    "--start noise": "init init-image use-noise random-start random-init noise",
    "--start 'perlin(scale=0.25)'": "perlin",
    "--mask 'box(10%, 20%, 60%, 80%)'": "roi area where rect box crop-box",
    "--mask mask.png": "mask-image mask-file matte",
    "--region 'sky.png: mixed3'": "guide-region segment segmentation",
    "--wrap both": "tileable seamless tile wrap-mode tiling",
    "--wrap horizontal": "panorama equirectangular spherical pano 360",
    "--variations 4": "count copies num-images batch-size versions num-variations",
    "--per-octave '1-2: steps=10'": "octave-mode octave-iters",
    "--recipe FILE": "config config-file params settings-file parameters",
    "--yes": "overwrite force y f",
    "--no-notes": "no-metadata strip-metadata",
    "--quiet": "silent no-progress",
    "no flag: progress is shown unless there is --quiet": "verbose v debug progress",
    "`dream layers NETWORK`": "list-layers print-layers show-layers print-channels",
    "`dream networks`": "list-models print-models list-networks",
    "`dream presets`": "list-presets presets list-styles",
    "--memory 2GB, which plans tiles by itself": "max-memory memory-limit vram",
    "--gradient 'cells 2x2', or --memory 2GB": "tile-size max-tile-size tiles",
    "--halo 24": "overlap-percent overlap tile-overlap",
    "`dream zoom PHOTO`": "zoom create-ouroboros frame-transform",
    "`dream film PHOTO`, or `dream video clip.mp4`": "fps gif create-gif frames movie "
    "animate save-video save-gif content-video output-video framerate",
}

SYNONYMS: Mapping[str, str] = {
    name: advice for advice, names in _MEANT.items() for name in names.split()
}
"""What to try for each name, which is in small letters with dashes."""

# Of difflib: a letter or two of a name, and no more than a plural.
_NEAR, _SAME = 0.8, 0.9


def flag_advice(name: str, flags: Collection[str]) -> str:
    """Returns what to try for an unknown flag; "" where a real one is nearer.

    Args:
        name: The flag as it was typed.
        flags: The real ones, with their dashes.
    """
    plain = _plain(name)
    real = [_plain(flag) for flag in flags]
    if difflib.get_close_matches(plain, real, 1, _SAME):
        return ""
    if plain not in SYNONYMS:
        every = [*SYNONYMS, *real]
        plain = next(iter(difflib.get_close_matches(plain, every, 1, _NEAR)), "")
    if plain not in SYNONYMS:
        return ""
    example, _, note = SYNONYMS[plain].partition(" | ")
    if example.startswith("--") and example.split()[0] not in flags:
        return ""  # of another command
    return f"try {example}" + (f", {note}" if note else "")


def setting_advice(name: str, settings: Collection[str]) -> str:
    """Returns what to try for an unknown setting in Python or JSON, or "".

    Args:
        name: The name as it was written.
        settings: The real ones.
    """
    example = SYNONYMS.get(_plain(name), "").partition(" | ")[0]
    flag, _, value = example.partition(" ")
    if flag == "--out":
        return "try dream(...).save('dream.png')"
    setting = flag.removeprefix("--").replace("-", "_")
    if setting not in settings:
        off = setting.removeprefix("no_")
        return f"try {off}=False" if off != setting and off in settings else ""
    if not value:
        return f"try {setting}=True"
    text = value.strip("'")
    return f"try {setting}={text if text[0].isdigit() else repr(text)}"


def _plain(name: str) -> str:
    return name.split("=")[0].strip("-").replace("_", "-").lower()
