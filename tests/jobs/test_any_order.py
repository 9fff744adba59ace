"""The journal in any order of events: nothing of anybody else's is ever replaced."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from keras_dream.files import stage
from keras_dream.jobs.journal import Journal, NewItem, State

ITEMS = st.integers(0, 2)
BYTES = st.binary(min_size=1, max_size=3)


class Work(RuleBasedStateMachine):
    """A job of three items, its crashes, and a person who changes the files."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.theirs = {}  # what a person has written, by name
        self.ours = set()  # hashes of what the job has written
        self.begin()

    def begin(self):
        self.journal = Journal.open(self.folder, kind="test", key="a")
        self.journal.reconcile()
        self.journal.add(NewItem(str(n), "", output=f"{n}.png") for n in range(3))

    def teardown(self):
        self.journal.close()
        shutil.rmtree(self.folder)

    def item(self, number):
        return self.journal.item(str(number))

    @rule(number=ITEMS, data=BYTES)
    def save(self, number, data):
        item = self.journal.start(self.item(number))
        item = self.journal.save(item, stage(self.journal.path(item), data))
        if item.state is State.DONE:
            self.ours.add(hashlib.sha256(data).hexdigest())
            if self.theirs.get(item.output) == data:
                del self.theirs[item.output]  # the same bytes: nothing was replaced

    @rule(number=ITEMS, data=BYTES, step=st.sampled_from(["staged", "intent", "named"]))
    def crash(self, number, data, step):
        """Ends after a step of `save`, as a kill would, and begins again."""
        item = self.journal.start(self.item(number))
        path = self.journal.path(item)
        staged = stage(path, data)
        there = path.read_bytes() if path.is_file() else None
        replaces = there is not None and item.output_sha256 != _sha256(there)
        if step != "staged" and not replaces:
            self.journal._set(item, intended_sha256=staged.sha256)
        if step == "named" and not replaces:
            staged.commit()
            self.ours.add(staged.sha256)
        staged.release()
        self.journal.close()
        self.begin()
        state = self.item(number).state
        if replaces:
            assert state in (State.AMBIGUOUS, State.DONE, State.WAITING)
        else:
            assert state is (State.DONE if step == "named" else State.WAITING)

    @rule(number=ITEMS)
    def fail(self, number):
        self.journal.fail(self.item(number), "It is too small.")

    @rule(number=ITEMS)
    def reset(self, number):
        self.journal.reset([self.item(number)])

    @rule(number=ITEMS)
    def reconcile(self, number):
        self.journal.reconcile()
        for item in self.journal.items(State.DONE):
            path = self.journal.path(item)
            assert _sha256(path.read_bytes()) == item.output_sha256
        assert not self.journal.items(State.RUNNING)

    @rule(number=ITEMS, data=BYTES)
    def person_writes(self, number, data):
        (self.folder / f"{number}.png").write_bytes(data)
        if _sha256(data) == self.item(number).output_sha256:
            self.theirs.pop(f"{number}.png", None)  # as the job wrote it
        else:
            self.theirs[f"{number}.png"] = data

    @rule(number=ITEMS)
    def person_removes(self, number):
        (self.folder / f"{number}.png").unlink(missing_ok=True)
        self.theirs.pop(f"{number}.png", None)

    @precondition(lambda self: self.theirs)
    @invariant()
    def what_is_theirs_stays(self):
        for name, data in self.theirs.items():
            assert (self.folder / name).read_bytes() == data

    @invariant()
    def nothing_is_torn(self):
        for path in self.folder.glob("*.png"):
            data = path.read_bytes()
            assert self.theirs.get(path.name) == data or _sha256(data) in self.ours


def _sha256(data):
    return hashlib.sha256(data).hexdigest()


def test_nothing_of_others_is_replaced_and_nothing_is_torn():
    run_state_machine_as_test(
        Work, settings=settings(max_examples=25, stateful_step_count=20, deadline=None)
    )
