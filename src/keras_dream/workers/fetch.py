"""Downloading the weights of networks, before workers begin."""

import queue
import threading
from collections.abc import Iterable, Iterator

from keras_dream.events import Download, Event, Fetching
from keras_dream.recipe.recipe import Recipe
from keras_dream.weights.locate import find, locate
from keras_dream.zoo.catalogue import ZOO
from keras_dream.zoo.network import Network, asks_for_class


def fetch(
    recipes: Iterable[Recipe], networks: Iterable[Network], *, offline: bool
) -> Iterator[Event]:
    """Downloads the weights that are not on this machine, and yields what happens.

    So it is done once, and what cannot be had ends the work before it begins.

    Args:
        recipes: What they will dream.
        networks: What the recipes' names stand for, where it is more than a name.
        offline: Whether nothing may be downloaded.

    Raises:
        WeightsError: If they may not be had.
        DownloadError, SaveError, OutputError: If a download fails.
    """
    own = {network.name for network in networks if network.weights is not None}
    needs = {
        (str(network.network), str(network.network) in asks_for_class(recipe))
        for recipe in recipes
        for network in recipe.every_network
    }
    for name, classifier in sorted(needs):
        entry = ZOO.get(name)
        if entry is None or entry.build is None or name in own:
            continue
        if find(entry.sources, classifier=classifier) is None:
            yield Fetching(name)
            yield from _downloaded(name, classifier, offline=offline)


def _downloaded(name: str, classifier: bool, *, offline: bool) -> Iterator[Download]:
    """Downloads in a thread, so that its progress can be yielded."""
    parts = queue.SimpleQueue[Download | BaseException | None]()

    def run() -> None:
        try:
            locate(
                name,
                ZOO[name].sources,
                classifier=classifier,
                offline=offline,
                progress=lambda done, total: parts.put(Download(done, total)),
            )
        except BaseException as failure:  # noqa: BLE001 - raised where it is waited for
            parts.put(failure)
        else:
            parts.put(None)

    threading.Thread(target=run, daemon=True).start()
    while (part := parts.get()) is not None:
        if isinstance(part, BaseException):
            raise part
        yield part
