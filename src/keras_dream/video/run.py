"""The run of a film: surveyed, dreamed frame by frame, and written at its end.

Every frame that is done is on the disk, in a hidden work folder beside the film, so
that a run goes on from wherever it was stopped or killed, and ends with the same film.
"""

import bisect
import contextlib
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.backend import host
from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.engine import cost
from keras_dream.engine.finish import result_size
from keras_dream.engine.result import Record
from keras_dream.errors import (
    InputError,
    JobsError,
    RunError,
    SettingError,
)
from keras_dream.events import (
    Event,
    FilmPlanned,
    FilmProgress,
    FrameDone,
    FrameProgress,
    Loading,
    Notice,
)
from keras_dream.geometry import fitted
from keras_dream.jobs.journal import read_journal
from keras_dream.pictures.picture import Picture
from keras_dream.recipe.recipe import Recipe, canonical_json
from keras_dream.recipe.scheme_plans import AUTO, read_gradient
from keras_dream.recipe.video import VideoSettings
from keras_dream.video.ahead import reported
from keras_dream.video.base_run import PACKED, BaseRun, BaseWork, as_events
from keras_dream.video.blocks import Block, blocks_of, mixed, shares_of
from keras_dream.video.carry import Carried
from keras_dream.video.companions import Companions
from keras_dream.video.dreaming import BlockDreamer
from keras_dream.video.folder import Place, WorkFolder, frame_name, work_folder
from keras_dream.video.frames import Clip
from keras_dream.video.messages import BlockOrder, FilmSetup, FrameMade, FrameStep
from keras_dream.video.record import film_record, recorded_film, source_record
from keras_dream.video.second_pass import SecondPass, Shares, places_of
from keras_dream.video.setup import Film, Setup
from keras_dream.video.sink import DEFAULT, Encoding, check_film
from keras_dream.video.source import Source
from keras_dream.video.timeline import Timeline
from keras_dream.video.workers import FilmWorker
from keras_dream.workers.fetch import fetch
from keras_dream.workers.messages import Died, Failed, Loading as WorkerLoads, Report
from keras_dream.workers.pool import (
    SHORT_SECONDS,
    Here,
    Pool,
    Team,
    command_of,
    is_parallel,
    threads_of,
)
from keras_dream.workers.sendable import check_sendable, only_here

_STATE = 9
"""Bytes of a pixel in a state: its colours, and its difference as half floats."""

MOST_ATTEMPTS = 3
"""How often a frame is begun in one run, where its worker process dies each time."""

MOST_WORKERS = 256

COMMAND = command_of("keras_dream.video.workers")
"""The command line of a worker process."""


class VideoRun(BaseRun[Setup, "_Work"]):
    """A film that is being dreamed: an iterator of its events.

    Stopping is `break` and `close`, or the end of a `with` block, or Ctrl-C; the same
    film goes on from there, even after its process was killed. It ends with the bytes
    of an undisturbed run.

    Args:
        setup: What the film is made from and by.
        out: The film.
        encoding: How it is saved.
        sound: A file whose sound the film has, in place of the source's own.
        workers: How many processes dream; None for as many as the machine has room for.
            It does not change the pixels.
        resume: Whether frames of an earlier run are kept; False dreams them again.
        notes: Whether recipe and record are saved in the film.
        dreamer: What dreams, alone, in place of the setup's own; or what loads that.

    Attributes:
        out: As above.
        planned: What there is to do; None before its event.

    Raises:
        InputError: If the source cannot be read.
        OutputError: If the film cannot be written so.
        SettingError: If there cannot be so many workers.
    """

    def __init__(
        self,
        setup: Setup,
        out: str | os.PathLike[str],
        *,
        encoding: Encoding = DEFAULT,
        sound: str | os.PathLike[str] | None = None,
        workers: int | None = None,
        resume: bool = True,
        notes: bool = True,
        dreamer: Dreamer | Callable[[Setup], Dreamer] | None = None,
    ):
        if workers is not None and not 1 <= workers <= MOST_WORKERS:
            raise SettingError(
                f"The workers of a film must be 1 to {MOST_WORKERS}",
                received=str(workers),
                hint="leave them out, for as many as the machine has room for",
            )
        self._workers = workers
        super().__init__(
            setup,
            out,
            encoding=encoding,
            sound=sound,
            resume=resume,
            notes=notes,
            dreamer=dreamer,
        )

    def _open(self) -> None:
        self._source = self._setup.open()

    @property
    def _track(self) -> Source | str | os.PathLike[str]:
        return self._sound or self._source

    # What there is to do

    def _surveyed(self) -> Iterator[Event]:
        settings = self._setup.recipe.video or VideoSettings()
        survey = partial(self._source.survey, cuts=settings.cuts == "auto")
        shares = reported(lambda note: survey(progress=note))
        self._clip: Clip = yield from as_events(shares, "survey")
        self._blocks = blocks_of(self._clip.cuts, len(self._clip.stamps), settings)
        self._setup, self._lanes = self._shared(self._clip, self._blocks)
        if self._dreamer is None:
            own = self._setup
            yield from fetch([own.recipe], own.networks, offline=own.run.offline)

    def _shared(self, clip: Clip, blocks: Sequence[Block]) -> tuple[Setup, int]:
        """Returns the setup of a worker, and for how many workers there is room.

        Threads and memory are shared by as many as there is room for, whoever runs:
        what they change of the last bits does not depend on the number of workers.
        """
        setup, run = self._setup, self._setup.run
        is_alone = isinstance(self._dreamer, Dreamer) or not is_parallel(run.device)
        if is_alone or only_here([setup.recipe], setup.networks):
            return setup, 1
        cores = host.cores()
        threads = _recorded(self.out, resume=self._wants_resume).get("threads")
        threads = run.threads or threads
        # A journal is untrusted; another machine's may have more threads than this has.
        if not isinstance(threads, int) or not 1 <= threads <= max(
            cores, run.threads or 0
        ):
            size = fitted(clip.size, setup.recipe.size)
            lengths = [block.last - block.first for block in blocks]
            seconds = cost.seconds(size, setup.recipe) * sum(lengths)
            threads = threads_of(lengths, math.prod(size), seconds)
        lanes = max(1, min(len(blocks), cores // threads))
        memory = None if run.memory is None else run.memory // lanes
        return replace(setup, run=run.but(threads=threads, memory=memory)), lanes

    def _count(self, work: "_Work", seconds: float) -> int:
        """Returns how many workers there are for frames of so many seconds.

        Raises:
            SettingError: If there cannot be so many as are asked for.
        """
        left = sum(
            not all(map(work.folder.is_done, block.places)) for block in work.blocks
        )
        wanted = self._workers
        if wanted is None:
            return max(1, min(self._lanes, left)) if seconds > SHORT_SECONDS else 1
        if isinstance(self._dreamer, Dreamer):
            return 1
        if wanted > 1:
            check_sendable([work.film.recipe], self._setup.networks)
        return min(wanted, max(1, left))

    def _hired(self, work: "_Work", count: int) -> Team:
        """Returns the workers; alone, what has been loaded already dreams."""
        # Its files by their paths: the recipe has their names and hashes only.
        found = [work.dreamer.files.find(file) for file in work.film.recipe.files]
        files = dict.fromkeys([*self._setup.files, *(str(p.absolute()) for p in found)])
        own = replace(self._setup, files=tuple(files))
        setup = FilmSetup(own, work.film)
        if count > 1:
            self._dreamer = None
            work.close_here()
            del work.dreamer
            return Pool(setup, count, command=COMMAND)
        worker = FilmWorker(setup, blocks=work.blocks_here)
        return Here(setup, lambda _: worker)

    def _prepared(self, dreamer: Dreamer) -> "_Work":
        clip, settings = self._clip, self._setup.recipe.video or VideoSettings()
        dreamer.files.look_in(self._source.path.parent)
        recipe = dreamer.complete(self._setup.recipe).but(video=settings)
        _check_strengths(recipe, settings)
        size = fitted(clip.size, recipe.size)
        _, notices = dreamer.octaves(size, recipe)
        dreamer.check_keyframes(size, recipe)
        companions = Companions(recipe, clip, dreamer.files)
        timeline = Timeline(
            recipe, clip, source=self._source, sound=self._sound, files=dreamer.files
        )
        film_clip = replace(
            clip,
            size=result_size(clip.size, recipe),
            has_alpha=clip.has_alpha or recipe.transparency,
        )
        told = check_film(self.out, self._encoding, film_clip, sound=self._track)
        own, has_alpha = work_folder(self.out), film_clip.has_alpha
        film = Film(own, clip, recipe, self._bits, has_alpha)
        blocks_here = BlockDreamer(
            film, self._source, dreamer, timeline=timeline, companions=companions
        )
        gradient = blocks_here.check()
        record = dreamer.record(Picture(np.zeros((1, 1, 3), np.float32)), recipe)
        key = self._key(recipe, record) | {"levels": timeline.sha256}
        gradient = self._pinned(gradient, dreamer)
        record = replace(record, run={**record.run, "gradient": gradient})
        folder = self._folder(key, settings)
        second = SecondPass(
            film,
            folder,
            self._source,
            timeline=timeline,
            companions=companions,
            files=dreamer.files,
            parts=len(self._blocks),
        )
        told = (*clip.notices, *companions.notices, *told, *notices, *_chosen(recipe))
        return _Work(
            folder=folder,
            record=record,
            notices=tuple(dict.fromkeys(told)),
            film=film,
            film_clip=film_clip,
            blocks=self._blocks,
            timeline=timeline,
            dreamer=dreamer,
            blocks_here=blocks_here,
            second=second if settings.smooth else None,
        )

    def _folder(self, key: Mapping[str, str], settings: VideoSettings) -> WorkFolder:
        """Returns the work folder, held."""
        run = self._setup.run
        return WorkFolder(
            self.out,
            key,
            places_of(self._blocks, settings),
            resume=self._wants_resume,
            settings={"threads": run.threads, "gradient": run.gradient},
            keep_states=settings.smooth > 0,
        )

    def _pinned(self, gradient: str, dreamer: Dreamer) -> str:
        """Lets all frames have the tiles of the first, and returns them.

        What is chosen by the memory that is free just then would be others at another
        time, and change the last bits.
        """
        if self._setup.run.gradient != AUTO:
            return self._setup.run.gradient
        recorded = _recorded(self.out, resume=self._wants_resume).get("gradient")
        with contextlib.suppress(SettingError):  # a journal is untrusted
            gradient = read_gradient(recorded)
        self._setup = replace(self._setup, run=self._setup.run.but(gradient=gradient))
        dreamer.run = dreamer.run.but(gradient=gradient)
        return gradient

    def _key(self, recipe: Recipe, record: Record) -> dict[str, str]:
        return {
            "source": self._clip.sha256,
            "selection": canonical_json(self._setup.selection.data()),
            "cuts": canonical_json(list(self._clip.cuts)),
            **super()._key(recipe, record),
        }

    def _plan(self, work: "_Work") -> FilmPlanned:
        film, done, dreamer = work.film, work.folder.done, work.dreamer
        size = fitted(film.clip.size, film.recipe.size)
        waiting = [p for block in work.blocks for p in block.places if p not in done]
        own = work.timeline.at(film.clip.stamps[0])
        firsts = {Place(b.part, b.first): film.warm_up(b, own) for b in work.blocks}
        warm_ups = [firsts[place] for place in waiting if place in firsts]
        first = len(warm_ups)
        later = film.with_frame_steps(own, 1 - film.settings_at(own).carry)
        seconds = first * dreamer.seconds(size, film.with_frame_steps(own, 1.0))
        seconds += (len(waiting) - first + sum(warm_ups)) * dreamer.seconds(size, later)
        workers = self._count(work, seconds)
        channels = 4 if film.has_alpha else 3
        pixels = math.prod(work.film_clip.size) * channels * film.bits // 8
        states = 0 if work.second is None else _STATE * math.prod(size)
        self._frames = len(film.clip.stamps)
        return FilmPlanned(
            frames=self._frames,
            ready=work.counts()[1],
            scenes=len(film.clip.cuts),
            blocks=len(work.blocks),
            size=work.film_clip.size,
            duration=float(film.clip.seconds),
            seconds=seconds / workers,
            bytes=len(waiting) * (states + int((1 + (states > 0)) * PACKED * pixels)),
            workers=workers,
            folder=str(work.folder.path),
            path=str(self.out),
        )

    # What happens

    def _made(self, work: "_Work") -> Iterator[Event]:
        count = 1 if self.planned is None else self.planned.workers
        work.team = team = self._hired(work, count)
        yield from self._dreamed(work, team)
        yield from self._smoothed(work)

    def _dreamed(self, work: "_Work", team: Team) -> Iterator[Event]:
        """Lets the workers dream all frames that are left."""
        waiting = deque(work.blocks)

        def take() -> BlockOrder | None:
            while waiting:
                block = waiting.popleft()
                after = self._resumed(work, block)
                if after != block.last - 1:
                    return BlockOrder(block, after)
            return None

        for worker, report in team.run(take):
            if isinstance(report, Died):
                waiting.appendleft(work.blocks[int(report.key)])
            yield from work.told
            work.told.clear()
            yield from self._heard(work, worker + 1, report)

    def _resumed(self, work: "_Work", block: Block) -> int | None:
        """Returns the last of a block's frames that is done; those before it are."""
        folder = work.folder
        needs_all = work.second is not None  # of the states
        done = 0
        for place in block.places:
            if not folder.is_done(place) or (needs_all and not work.has_state(place)):
                break
            done += 1
        if done == len(block.places):
            return block.last - 1
        if done and not work.has_state(block.places[done - 1]):
            number = block.first + done
            text = f"What frame {number:,} was to hand on is lost: its scene"
            work.told.append(Notice(f"{text} is dreamed again."))
            done = 0
        folder.forget(place for place in block.places[done:] if folder.is_done(place))
        return block.first + done - 1 if done else None

    def _heard(self, work: "_Work", worker: int, report: Report) -> Iterator[Event]:
        """Notes a report in the journal and yields its events."""
        folder, count = work.folder, work.count
        match report:
            case WorkerLoads(network=network):
                yield Loading(network)
            case FrameStep(number=number, step=step, steps=steps):
                place = Place(int(report.key), number)
                if work.begun.get(worker) != place:
                    work.begun[worker] = place
                    folder.begin(place)
                folder.note(place, step, steps)
                share = folder.count / count
                yield FrameProgress(number + 1, step, steps, share, worker)
            case FrameMade(number=number, steps=steps):
                place = Place(int(report.key), number)
                folder.commit(report.made(folder.path))
                work.made.add(place)
                yield FrameDone(
                    number=number + 1,
                    frames=len(work.film.clip.stamps),
                    steps=steps,
                    released=report.released,
                    seconds=report.seconds,
                    share=folder.count / count,
                    path=str(folder.path / frame_name(place)),
                    worker=worker,
                    scene=bisect.bisect(work.film.clip.cuts, number),
                )
            case Failed():
                raise report.failure
            case Died(reason=reason):
                yield self._died(work, work.blocks[int(report.key)], reason)
            case _:
                pass

    def _died(self, work: "_Work", block: Block, reason: str) -> Notice:
        """Returns what is said where a worker has died; too often, it is an error."""
        done = self._resumed(work, block)
        number = block.first if done is None else done + 1
        work.deaths[number] = work.deaths.get(number, 0) + 1
        if work.deaths[number] >= MOST_ATTEMPTS:
            failure = RunError(
                f"A frame must be dreamed within {MOST_ATTEMPTS} attempts",
                received=reason[:1].lower() + reason[1:],
                hint="try it smaller, or with --workers 1; what is done is kept",
            )
            raise work.film.named(failure, number)
        return Notice(f"{reason}, at frame {number + 1:,}; it is tried again.")

    def _smoothed(self, work: "_Work") -> Iterator[Event]:
        """Makes the frames of the second pass, if there is one."""
        if work.second is None:
            return
        made = 0
        for block in work.blocks:
            for _ in work.second.run(block):
                made += 1
                yield FilmProgress("smooth", made / work.count)

    def _film(self, work: "_Work") -> tuple[Clip, Recipe, dict[str, Any]]:
        clip, folder = work.film.clip, work.folder
        steps, self._flicker, notices = recorded_film(
            [(folder.notes(place), share) for place, share in frame]
            for frame in work.film_shares
        )
        notices = tuple(dict.fromkeys((*work.notices, *notices)))
        record = {
            **film_record(work.record, clip, steps=steps, notices=notices),
            **source_record(clip),
            "selection": self._setup.selection.data(),
            "blocks": len(work.blocks),
            "flicker": self._flicker.data(),
        }
        return work.film_clip, work.film.recipe, record

    def _pictures(self, work: "_Work") -> Iterable[np.ndarray]:
        for frame in work.film_shares:
            yield mixed([(work.folder.picture(p), share) for p, share in frame])

    def _stop(self, work: "_Work") -> None:
        for _, report in work.team.stop() if work.team is not None else ():
            if isinstance(report, FrameMade):
                work.folder.commit(report.made(work.folder.path))
                work.made.add(Place(int(report.key), report.number))


@dataclass(kw_only=True)
class _Work(BaseWork):
    """What is known of a film when its work begins; see `BaseWork`, too.

    Attributes:
        film: What its frames have in common.
        film_clip: Its frames, as the film will have them.
        blocks: What is dreamed by itself.
        timeline: The recipe of each frame.
        dreamer: What dreams in this process; gone where others do.
        blocks_here: What dreams in this process; None where others do.
        second: The second pass, if there is one.
        team: The workers.
        begun: The frame that each worker is at.
        made: The frames that this run has dreamed.
        deaths: How many worker processes have died at a frame.
        told: What is said next.
    """

    film: Film
    film_clip: Clip
    blocks: tuple[Block, ...]
    timeline: Timeline
    dreamer: Dreamer
    blocks_here: BlockDreamer | None
    second: SecondPass | None
    team: Team | None = None
    begun: dict[int, Place] = field(default_factory=dict[int, Place])
    made: set[Place] = field(default_factory=set[Place])
    deaths: dict[int, int] = field(default_factory=dict[int, int])
    told: list[Event] = field(default_factory=list[Event])

    def __post_init__(self) -> None:
        self.shares = shares_of(self.blocks, len(self.film.clip.stamps))

    @property
    def film_shares(self) -> Shares:
        """What each frame of the film is mixed of, after the second pass, if any."""
        return self.shares if self.second is None else self.second.shares(self.shares)

    def counts(self) -> tuple[int, int]:
        """Returns how many frames this run has dreamed, and how many another."""
        done = [
            any(place in self.made for place, _ in frame)
            for frame in self.shares
            if all(self.folder.is_done(place) for place, _ in frame)
        ]
        return sum(done), len(done) - sum(done)

    def has_state(self, place: Place) -> bool:
        """Tells whether what a frame hands on is there and whole."""
        try:
            state = Carried.load(self.folder.state_path(place))
        except InputError:
            return False
        size = fitted(self.film.clip.size, self.film.recipe.size)
        return state.frame.shape[:2] == size

    def close_here(self) -> None:
        """Ends the threads of this process."""
        if self.blocks_here is not None:
            self.blocks_here.close()
            self.blocks_here = None

    def close(self) -> None:
        """Ends the workers, and gives up the folder; what is dreamed is kept."""
        if self.team is not None:
            self.team.close()
        self.close_here()
        super().close()

    @property
    def count(self) -> int:
        """How many frames are dreamed, those of two blocks twice."""
        return sum(len(block.places) for block in self.blocks)


def _chosen(recipe: Recipe) -> Iterator[str]:
    """Yields what is to be said of channels that every frame chooses for itself."""
    for network in recipe.every_network:
        for target in network.strongest_targets:
            yield (
                f"Each frame has its own channels for {target.text}: name channels, so "
                "that they stay the same."
            )


def _check_strengths(recipe: Recipe, settings: VideoSettings) -> None:
    """Refuses strengths of octaves where frames take from other frames."""
    if recipe.octave_strengths and (settings.carry or settings.smooth):
        name = "carry" if settings.carry else "smooth"
        raise SettingError(
            "A film with strengths of octaves must dream each frame by itself, for "
            "what is taken from other frames is no octave's",
            received=f"octave_strengths with {name}={getattr(settings, name):g}",
            hint="leave octave_strengths out, or set carry and smooth to 0",
        )


def _recorded(out: Path, *, resume: bool) -> Mapping[str, Any]:
    """Returns what was recorded of the run that is gone on with, untrusted."""
    with contextlib.suppress(JobsError):
        for job, _ in read_journal(work_folder(out)) if resume else ():
            return job.settings
    return {}
