"""What the run setting `precision=auto` stands for."""

import logging
from collections.abc import Iterable

from keras_dream.backend.protocol import Backend
from keras_dream.zoo.load import LoadedNetwork

_log = logging.getLogger(__name__)


def fitting(backend: Backend, networks: Iterable[LoadedNetwork]) -> str:
    """Returns the precision in which networks dream together.

    It is bfloat16 where the device computes it itself and every network is known to
    dream about the same in it, and faster; float32 elsewhere. Of models and weights of
    the user's own that is not known. Finding out would cost each dream a second or two,
    mostly for nothing: most networks have another gradient in it (docs/networks.md).

    Args:
        backend: Where they dream.
        networks: All of them.
    """
    reason = f"{backend.name} on {backend.device} is not faster in bfloat16"
    if backend.fast_bfloat16():
        others = [n.name for n in networks if not n.is_better_in_bfloat16]
        reason = f"{', '.join(others)} may dream otherwise in bfloat16"
        if not others:
            _log.info("Precision bfloat16")
            return "bfloat16"
    _log.info("Precision float32: %s", reason)
    return "float32"
