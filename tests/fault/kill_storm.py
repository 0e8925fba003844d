"""kill -9 at random moments over runs of synth, evaluate and tune, and what became of them.

Real processes run the real command line; a kill hits their whole process group. Moments are drawn uniformly over the
duration of the uninterrupted run, so some fall before a run folder is there and some after the run has ended. After
each kill the run is gone on with (`adhere resume`; for tune, which has no run folder, the same command again), up to
its end, and compared with the uninterrupted one byte by byte.

The model of synth and evaluate is an endpoint on the loopback of which 30 % of the answers are faults. Its replies
follow from the request alone, so they are the same in every run, and it counts by request what it finished. The words:

kept      a reply that the client received whole and wrote into its journal or into the call cache
in flight a reply that the server finished in a session that was killed before the client had kept it. Nothing on the
          client's side can save it: it is asked for again, and counted apart
lost      a reply (or, for tune, a step under a checkpoint) that was kept at a kill and was not there afterwards
repaid    one that was kept at a kill and was asked for (trained) again
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fault_server import Counts, Exchange, FaultServer, Plan

from adhere.store.calls import CallCache
from adhere.store.run import is_finished

FAULTS_OF_FIRST_VISITS = 0.43  # every second visit of an ask is answered well, so 30 % of all answers are faults
WORDS = (
    *("tide", "loom", "flour", "ledger", "orbit", "copper", "meadow", "signal"),
    *("harbour", "lantern", "carpet", "engine", "river", "pepper", "window", "ladder"),
)
CLI = (sys.executable, "-c", "from adhere.app.cli import main; main()")
PATIENCE_S = 600.0
COMMANDS = {
    "synth": ("synth", "complex-to-simple", "mine.jsonl", "count=30", "max_tokens=120", "-o", "rows.jsonl"),
    "evaluate": ("evaluate", "heldout", "--limit", "8", "seeds=2", "-o", "rows.jsonl"),
    "tune": ("tune", "sft", "mine.jsonl", "-o", "tuned", "tokens_per_step=64", "epochs=12", "precision=fp32"),
}


# -- the endpoint ---------------------------------------------------------------------------------------------


@dataclass
class Request(Exchange):
    """A request that is known by all that it asks for, and whose reply follows from that."""

    @property
    def ask(self) -> str:
        return hashlib.sha256(json.dumps(self.body, sort_keys=True).encode()).hexdigest()[:16]

    async def send(
        self,
        code: int,
        body: bytes,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
        times: int = 1,
    ) -> None:
        """What the plan says, with a reply of its own in the place of the plan's."""
        body = body.replace(json.dumps(f"reply to {self.ask}").encode(), json.dumps(recorded(self.ask)).encode())
        await super().send(code, body, kind, headers, times)


def recorded(ask: str) -> str:
    """The reply to `ask`: some sentences that follow from it and from nothing else, and tell it from every other."""
    dice = random.Random(ask)
    sentences = [" ".join(dice.choices(WORDS, k=dice.randint(6, 12))).capitalize() for _ in range(dice.randint(2, 5))]
    return ". ".join([*sentences, f"So says number {ask}"]) + "."


def ask_of(reply: str) -> str:
    """The ask that a recorded reply answers."""
    return reply.rstrip(".").rsplit(" ", 1)[-1]


class RecordedServer(FaultServer):
    """A fault server with recorded replies, which never fails the same ask twice in a row."""

    def __init__(self, seed: int = 0, work_s: float = 0.02, fault_share: float = FAULTS_OF_FIRST_VISITS) -> None:
        quirks = 0.15 if fault_share else 0.0
        super().__init__(Plan(seed, fault_share, quirks, slots=8, work_s=work_s, slow_s=0.05))

    async def _request(self, exchange: Exchange) -> bool:
        return await super()._request(Request(exchange.writer, exchange.path, exchange.headers, exchange.body))

    async def _act(self, exchange: Exchange, ask: str, visit: int) -> bool:
        if visit % 2:  # another throw of the same dice: the first that is no fault
            throws = (random.Random(f"{self.plan.seed}:{ask}:{n}").random() for n in itertools.count(visit, 1000))
            steps = next(step for step, throw in enumerate(throws) if throw >= self.plan.fault_share)
            visit += 1000 * steps
        return await super()._act(exchange, ask, visit)

    @property
    def model(self) -> str:
        """What to give after `--model`."""
        return f"{self.url}#m"

    def begin(self) -> None:
        """Count from nought, as if no ask had ever come."""
        self.counts = Counts()

    def settle(self) -> Counter[str]:
        """What was finished so far, by ask, once nothing is under way any more."""
        deadline = time.monotonic() + 20
        while self._now and time.monotonic() < deadline:
            time.sleep(0.002)
        assert not self._now, "requests of a killed process are still under way"
        return Counter(self.counts.good)


# -- a run in a place of its own ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """What is on the disk at one moment: whole lines of the journal, replies by ask, the step of the checkpoint."""

    journal: bytes = b""
    replies: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    step: int = 0


@dataclass(frozen=True)
class Session:
    """One process at work: what was kept before it, what the server finished for it, whether it was killed."""

    before: Kept
    finished: Counter[str]
    was_killed: bool


@dataclass
class Place:
    """The folder of one run, with the user's files in it."""

    folder: Path
    verb: str
    words: tuple[str, ...]
    caches: bool
    cache_folder: Path | None = None

    @property
    def calls(self) -> Path:
        """The file of the call cache."""
        return (self.cache_folder or self.folder / "cache") / "calls.sqlite"

    @property
    def environment(self) -> dict[str, str]:
        own = {"ADHERE_CACHE": str(self.calls.parent), "ADHERE_CALL_CACHE": str(self.calls) if self.caches else "off"}
        return {**os.environ, **own, "OMP_NUM_THREADS": "1"}

    @property
    def run(self) -> Path | None:
        """The run folder, once there is one."""
        found = [path.parent for path in (self.folder / "runs").glob("*/run.json")]
        assert len(found) < 2, f"two run folders of one plan: {found}"
        return found[0] if found else None

    @property
    def is_born(self) -> bool:
        """Whether there is something to go on with."""
        return self.run is not None if self.verb != "tune" else (self.folder / "tuned" / "plan.sha256").is_file()

    @property
    def is_finished(self) -> bool:
        if self.verb == "tune":
            return (self.folder / "tuned" / "tuned.json").is_file()
        return self.run is not None and is_finished(self.run)

    def start(self, words: tuple[str, ...]) -> subprocess.Popen[str]:
        """A process group of its own."""
        return subprocess.Popen(
            [*CLI, *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def next_words(self) -> tuple[str, ...]:
        """What the user types next."""
        # Trusted, since folders are copied here, and a kill may come between a folder and its seal.
        return self.words if self.verb == "tune" or self.run is None else ("resume", "--trust")

    def finish(self) -> tuple[str, bool]:
        """Go on up to the end; what it printed, and whether it had to be begun again before anything was asked."""
        process = self.start(self.next_words())
        said, complaint = process.communicate(timeout=PATIENCE_S)
        begun_again = process.returncode == 3 and "were sealed" in complaint
        if begun_again:  # as the hint says
            assert self.run is not None
            assert not kept_in(self).replies
            process = self.start(self.words)
            said, complaint = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, f"{self.folder}: exit status {process.returncode}\n{complaint}"
        return said, begun_again

    def results(self) -> dict[str, bytes]:
        """Everything that the run was for, by name."""
        if self.verb == "tune":
            tuned = self.folder / "tuned"
            found = {path for part in ("adapter", "merged") for path in (tuned / part).rglob("*") if path.is_file()}
            found = {path for path in found if path.name != "adhere.json"} | {tuned / "model.gguf"}
            losses = json.loads((tuned / "tuned.json").read_bytes())["report"]["losses"]
            return {str(path.relative_to(tuned)): path.read_bytes() for path in found} | {
                "losses": json.dumps(losses).encode()
            }
        assert self.run is not None
        found = {path for path in (self.run / "out").rglob("*") if path.is_file()}
        return {path.name: path.read_bytes() for path in found} | {
            f"-o {path.name}": path.read_bytes() for path in self.folder.glob("rows*.jsonl")
        }


def prepared(folder: Path, verb: str, model: str, caches: bool = False, cache_folder: Path | None = None) -> Place:
    """A place for a run of `verb`, with the user's own file in it."""
    folder.mkdir(parents=True, exist_ok=True)
    if verb == "tune":
        rows = [{"prompt": f"Say {word}.", "reply": recorded(word)} for word in WORDS]
    else:
        rows = [{"instruction": f"Explain the word {word} to a child."} for word in WORDS]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Place(folder, verb, (*COMMANDS[verb], "--model", model), caches, cache_folder)


def kept_in(place: Place) -> Kept:
    """What `place` holds now."""
    if place.verb == "tune":
        steps = [int(path.name[5:]) for path in (place.folder / "tuned" / "checkpoints").glob("step-*")]
        return Kept(step=max(steps, default=0))
    replies: Counter[str] = Counter()
    journal, failures = b"", 0
    if place.run is not None and (place.run / "journal.jsonl").is_file():
        journal = (place.run / "journal.jsonl").read_bytes()
        journal = journal[: journal.rfind(b"\n") + 1]
        for line in map(json.loads, journal.splitlines()):
            failures += line["kind"] == "failure"
            if line["kind"] == "reply" and not (place.caches and line["reply"].get("cached")):
                replies[ask_of(line["reply"]["text"])] += 1
    if place.caches:
        cached = cached_replies(place)
        assert set(replies) <= set(cached), "a reply is in the journal and not in the cache"
        replies = cached
    return Kept(journal, replies, failures)


def cached_replies(place: Place) -> Counter[str]:
    """What the call cache holds, by ask. A copy is opened, as opening writes: nothing may run in `place` meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for path in place.calls.parent.glob("calls.sqlite*"):
            shutil.copy(path, copy / path.name)
        with CallCache(copy / "calls.sqlite") as cache:
            assert not cache.trouble
            return Counter(ask_of(call.reply.text) for call in cache.calls())


# -- the storm ------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What became of the runs of one verb.

    Kills came `before` there was anything to go on with, `during` the work, or `late`, when the run was finished and
    its process not yet gone. `missed` is how often the process was gone at the moment drawn: that is no kill. `moments`
    are shares of the uninterrupted duration.
    """

    runs: int = 0
    kills: int = 0
    before: int = 0
    during: int = 0
    late: int = 0
    missed: int = 0
    begun_again: int = 0
    kept: int = 0
    in_flight: int = 0
    lost: int = 0
    repaid: int = 0
    identical: int = 0
    requests: int = 0
    faults: int = 0
    seconds: float = 0.0
    moments: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take up what became of other runs."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def holds(self) -> bool:
        """Whether nothing was lost or repaid, and every run came to the same end."""
        return self.lost == self.repaid == 0 and self.identical == self.runs


def judge(sessions: Sequence[Session], end: Kept, tally: Tally) -> None:
    """Count what was kept, in flight, lost and repaid over the sessions of one run, which ended with `end`."""
    afters = [session.before for session in sessions[1:]] + [end]
    for session, after in zip(sessions, afters, strict=True):
        before, finished = session.before, session.finished
        tally.lost += (before.replies - after.replies).total() + (not after.journal.startswith(before.journal))
        tally.repaid += (finished - (end.replies - before.replies)).total()
        if session.was_killed:
            tally.kept += after.replies.total()
            tally.in_flight += (finished - (after.replies - before.replies)).total()


class Storm:
    """Runs of all verbs against one server. Not for several threads: each of them needs a storm of its own."""

    def __init__(self, folder: Path, server: RecordedServer, seed: int = 0) -> None:
        from adhere.models.scripted import tiny_weights

        self.folder, self.server, self.seed = folder, server, seed
        self.weights = tiny_weights(folder / "weights")
        self.wholes: dict[str, tuple[dict[str, bytes], float]] = {}
        self.told: list[str] = []

    def place(self, name: str, verb: str, caches: bool) -> Place:
        """A new folder with the user's own file."""
        return prepared(self.folder / name, verb, str(self.weights) if verb == "tune" else self.server.model, caches)

    def whole(self, verb: str) -> tuple[dict[str, bytes], float]:
        """The results of the uninterrupted run, without a call cache, and how long it took."""
        if verb not in self.wholes:
            place = self.place(f"whole-{verb}", verb, caches=False)
            self.server.begin()
            began = time.monotonic()
            place.finish()
            self.wholes[verb] = place.results(), time.monotonic() - began
            assert not kept_in(place).failures
        return self.wholes[verb]

    def trial(self, verb: str, number: int, kills: int) -> Tally:
        """One run that is killed up to `kills` times; what became of it. The same number draws the same moments.

        Even numbers have a call cache, odd ones only the journal.
        """
        dice = random.Random(f"{self.seed}:{verb}:{number}")
        whole, duration = self.whole(verb)
        place = self.place(f"{verb}-{number}", verb, caches=verb != "tune" and number % 2 == 0)
        tally = Tally(runs=1)
        began = time.monotonic()
        self.server.begin()
        sessions: list[Session] = []
        while not place.is_finished:
            before, good = kept_in(place), self.server.settle()
            is_to_die = tally.kills + tally.missed < kills
            if is_to_die:
                tally.moments.append(dice.random())
                self._kill(place, tally.moments[-1] * duration, tally)
            else:
                tally.begun_again += place.finish()[1]
            sessions.append(Session(before, self.server.settle() - good, is_to_die))
        judge(sessions, kept_in(place), tally)
        if verb == "tune":
            self._judge_training(place, sessions, tally)
        same = place.results() == whole
        tally.identical = int(same)
        tally.requests, tally.faults = self.server.counts.sent.total(), self.server.counts.faults.total()
        tally.seconds = time.monotonic() - began
        if tally.holds:
            shutil.rmtree(place.folder)
        else:
            self.told.append(
                f"{verb}:{number} of seed {self.seed}, killed at {tally.moments} of {duration:.2f} s: "
                f"lost {tally.lost}, repaid {tally.repaid}, identical {same}; see {place.folder}"
            )
        return tally

    def _kill(self, place: Place, wait_s: float, tally: Tally) -> None:
        began = time.monotonic()
        is_first = not place.is_born
        process = place.start(place.next_words())
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        _, complaint = process.communicate(timeout=PATIENCE_S)
        if process.returncode == -signal.SIGKILL:
            tally.kills += 1
            tally.before += not place.is_born
            tally.late += place.is_finished
            tally.during += place.is_born and not place.is_finished
            return
        tally.missed += 1
        if process.returncode == 3 and "were sealed" in complaint and place.run is not None:
            shutil.rmtree(place.run)  # as the hint says; nothing had been asked
            tally.begun_again += 1
            return
        assert process.returncode == 0, f"{place.folder}: {complaint}"
        if is_first:  # the machine is quicker than it was
            results, duration = self.wholes[place.verb]
            self.wholes[place.verb] = results, min(duration, time.monotonic() - began)

    def _judge_training(self, place: Place, sessions: Sequence[Session], tally: Tally) -> None:
        """Steps under a checkpoint stand in for replies: the last session must go on from the newest one."""
        steps = [session.before.step for session in sessions]
        tally.kept += sum(steps[1:])
        tally.lost += sum(max(0, early - late) for early, late in itertools.pairwise(steps))
        resumed = json.loads((place.folder / "tuned" / "tuned.json").read_bytes())["report"]["resumed_at"]
        tally.repaid += max(0, steps[-1] - resumed)
