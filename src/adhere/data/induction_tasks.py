"""Twenty-four small tasks from a few examples of which the instruction can be guessed, with exact checks.

The kinds of task are those of Instruction Induction (Honovich, Shaham, Bowman, Levy, ACL 2023, arXiv 2205.10782,
table 1): spelling, grammar, meaning, sound, knowledge, style, numbers, translation and judging. Words, sentences,
instructions and checks are our own. Where an item takes several words or a sentence, it is drawn from frames, so that
there are many; tasks about single words have as many items as there are words in their table.

An item is in the part `test` or `train` by a hash of its input, whatever the seed: no input stands in both,
while its frame may.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from typing import Literal

import msgspec

from adhere.core.errors import SettingsError, did_you_mean

Part = Literal["train", "test"]
TEST_SHARE = 0.4
_TRIES = 60  # draws for each item that is asked for
_EDGES = " \t\n.,;:!?\"'`*()[]"


class Item(msgspec.Struct, frozen=True):
    """An input and the answers that are right; where several are, any of them is."""

    input: str
    answers: tuple[str, ...]


class Task(msgspec.Struct, frozen=True):
    """A kind of task: `instruction` is how a person would say it, `draw` makes an item.

    `ordered` is False where the answer is a list of words in any order. `alone` is True where a sentence may hold the
    answer without giving it, so that it counts only as a line of its own: choices between a few words, single letters
    ("a"), and answers of which many are ordinary words of prose ("that", "more").
    """

    name: str
    group: str
    instruction: str
    draw: Callable[[random.Random], Item]
    ordered: bool = True
    alone: bool = False


def right(task: Task, item: Item, said: str) -> bool:
    """Whether the first line that is said is an answer, but for case, space and punctuation at its ends."""
    lines = [line for line in said.splitlines() if line.strip(_EDGES)]
    found = _plain(lines[0]) if lines else ""
    if task.ordered:
        return any(found == _plain(one) for one in item.answers)
    return any(_bag(found) == _bag(_plain(one)) for one in item.answers)


def stated(task: Task, item: Item, said: str) -> bool:
    """Whether the first line that is said is an answer, or holds one as whole words: "The plural is cities."

    The line has to be the answer (`right`) where the task says so, where the answer is a list, and where the input
    holds the answer already, since a reply that repeats the input would be right otherwise.
    """
    if right(task, item, said):
        return True
    lines = [line for line in said.splitlines() if line.strip(_EDGES)]
    if task.alone or not task.ordered or not lines:
        return False
    found, given = _plain(lines[0]), _plain(item.input)
    return any(_holds(found, _plain(one)) and not _holds(given, _plain(one)) for one in item.answers)


def items(task: Task, count: int, part: Part, seed: int = 0) -> list[Item]:
    """At most `count` different items of a part; fewer where the task's table has no more."""
    if part not in ("train", "test"):
        raise SettingsError(f"expected the part train or test, found {part!r}")
    draw, found = random.Random(f"induction/{task.name}/{part}/{seed}"), dict[str, Item]()
    for _ in range(_TRIES * count):
        if len(found) == count:
            break
        one = task.draw(draw)
        if part_of(task, one) == part:
            found.setdefault(one.input, one)
    return list(found.values())


def part_of(task: Task, item: Item) -> Part:
    """The part that an item belongs to."""
    digest = hashlib.sha256(f"{task.name}\n{item.input}".encode()).digest()
    return "test" if digest[0] < 256 * TEST_SHARE else "train"


def task_named(name: str) -> Task:
    """The task of that name; a `SettingsError` where there is none."""
    found = {one.name: one for one in TASKS}
    if name not in found:
        raise SettingsError(f"no induction task {name!r}", did_you_mean(name, tuple(found)))
    return found[name]


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip(_EDGES).casefold()


def _holds(text: str, words: str) -> bool:
    """Whether a text has these words, not as a part of longer words or numbers: 46 is neither in 1,046 nor in -46."""
    found = re.search(rf"(?<![\w-])(?<!\d[.,]){re.escape(words)}(?![\w-])(?![.,]\d)", text)
    return bool(words) and found is not None


def _bag(text: str) -> list[str]:
    return sorted(one for one in re.split(r"[^\w-]+", text) if one and one != "and")


# -- words ------------------------------------------------------------------------------------------------------


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _lines(text: str) -> tuple[tuple[str, ...], ...]:
    """Lines of fields, as in a table."""
    return tuple(tuple(field.strip() for field in line.split("#")) for line in text.strip().splitlines())


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """`a=b c=d` as pairs; an underscore stands for a space."""
    found = (one.partition("=") for one in text.split())
    return tuple((first.replace("_", " "), second.replace("_", " ")) for first, _, second in found)


_NOUNS = _list(
    "anchor basket candle desert engine feather garden hammer island jacket kettle ladder marble needle orchard pepper "
    "quarry ribbon saddle timber umbrella valley window yard bridge cloud drawer farmer glove harbour letter mirror"
)
_ANIMALS = _list(
    "ant mouse frog sparrow squirrel rabbit cat fox goat wolf sheep pig lion cow horse bear giraffe elephant whale"
)
"""From the smallest to the largest, each well apart from the third after it."""
_PLURALS = _pairs(
    "box=boxes bus=buses cat=cats city=cities day=days foot=feet goose=geese hero=heroes key=keys knife=knives "
    "lady=ladies leaf=leaves man=men match=matches mouse=mice ox=oxen party=parties potato=potatoes sheep=sheep "
    "story=stories tooth=teeth toy=toys wife=wives wolf=wolves woman=women berry=berries brush=brushes child=children "
    "church=churches dish=dishes glass=glasses half=halves kiss=kisses loaf=loaves monkey=monkeys person=people"
)
_OPPOSITES = _pairs(
    "hot=cold big=small fast=slow early=late high=low light=dark wet=dry open=closed full=empty hard=soft young=old "
    "rich=poor strong=weak clean=dirty near=far left=right win=lose buy=sell push=pull start=stop always=never "
    "above=below before=after inside=outside true=false happy=sad love=hate thick=thin loud=quiet deep=shallow "
    "wide=narrow sharp=blunt arrive=leave accept=refuse remember=forget"
)
_SYNONYMS = _pairs(
    "big=large/huge/great fast=quick/rapid begin=start/commence end=finish/stop/conclude happy=glad/cheerful/joyful "
    "sad=unhappy/sorrowful angry=mad/furious/cross clever=smart/intelligent/bright ill=sick/unwell rich=wealthy "
    "silent=quiet/still brave=courageous/bold error=mistake/fault help=aid/assist gift=present "
    "close=shut/near choose=pick/select buy=purchase road=street/way stone=rock shop=store speak=talk/say "
    "look=see/watch/gaze correct=right/true easy=simple hard=difficult/tough tired=weary/exhausted odd=strange/weird "
    "small=little/tiny forest=wood/woods"
)
_RHYMES = _pairs(
    "cat=hat/bat/mat/rat/sat/fat/flat/that light=night/right/sight/might/fight/bright/tight/white "
    "rain=train/brain/chain/pain/main/plane/lane tree=free/see/bee/three/knee/sea/me "
    "house=mouse/blouse cake=lake/make/take/bake/snake/wake/shake moon=soon/spoon/noon/tune/june "
    "king=ring/sing/thing/bring/wing/spring ball=tall/call/fall/wall/hall/small boat=coat/goat/note/float/vote/wrote "
    "bell=well/tell/sell/shell/smell/fell book=look/cook/hook/took day=play/say/way/may/stay/grey/they "
    "door=floor/more/four/store/war/shore dog=fog/log/frog/hog gold=cold/old/told/hold/bold/sold "
    "hand=sand/land/band/stand/grand hill=mill/still/will/bill/fill/chill man=can/fan/pan/ran/van/plan/tan "
    "nose=rose/close/those/toes/goes red=bed/head/said/bread/fed/led song=long/wrong/strong/along "
    "star=car/far/bar/jar top=stop/shop/drop/hop/mop/pop wine=line/mine/nine/fine/shine/sign/pine"
)
_GERMAN = _pairs(
    "apple=Apfel bread=Brot water=Wasser house=Haus tree=Baum book=Buch dog=Hund cat=Katze sun=Sonne moon=Mond "
    "milk=Milch table=Tisch chair=Stuhl door=Tür window=Fenster friend=Freund school=Schule street=Straße city=Stadt "
    "night=Nacht day=Tag fire=Feuer fish=Fisch bird=Vogel flower=Blume hand=Hand heart=Herz winter=Winter summer=Sommer"
)
_SPANISH = _pairs(
    "apple=manzana bread=pan water=agua house=casa tree=árbol book=libro dog=perro cat=gato sun=sol moon=luna "
    "milk=leche table=mesa chair=silla door=puerta window=ventana friend=amigo school=escuela street=calle city=ciudad "
    "night=noche day=día fire=fuego bird=pájaro flower=flor hand=mano heart=corazón winter=invierno summer=verano"
)
_FRENCH = _pairs(
    "apple=pomme bread=pain water=eau house=maison tree=arbre book=livre dog=chien cat=chat sun=soleil moon=lune "
    "milk=lait table=table chair=chaise door=porte window=fenêtre friend=ami school=école street=rue city=ville "
    "night=nuit day=jour fire=feu fish=poisson bird=oiseau flower=fleur hand=main heart=cœur winter=hiver summer=été"
)
_COMMON = _lines("""
    round # ball coin wheel orange globe button
    red # strawberry ruby blood tomato cherry brick
    cold # ice snow winter freezer glacier penguin
    fly # kite bird plane bee balloon butterfly
    sharp # knife needle razor thorn sword scissors
    sweet # honey sugar candy chocolate jam syrup
    white # milk snow chalk salt swan cotton
    hot # fire oven sun stove lava desert
    keys # piano keyboard janitor map lock jailer
    leaves # tree book tea table autumn salad
""")
_PEOPLE = ("Anna", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry", "Ida", "Jack")
_DEEDS = _lines("""
    baker # sold # bread
    teacher # praised # student
    farmer # watered # field
    doctor # helped # patient
    artist # painted # portrait
    lawyer # called # judge
    tourist # thanked # guide
    manager # hired # cook
    sailor # repaired # boat
    writer # finished # novel
    singer # admired # dancer
    guard # locked # gate
""")
_CAUSES = _lines("""
    it rained all night # the street was wet
    the glass fell on the floor # the glass broke
    the alarm did not ring # {name} was late for work
    {name} ate too much cake # {name} felt sick
    the sun came out # the snow melted
    the battery was empty # the phone turned off
    {name} studied for weeks # {name} passed the exam
    the wind blew hard # the tree fell over
    {name} lost the keys # {name} could not open the door
    the oven was too hot # the bread burned
    {name} told a joke # the class laughed
    the road was icy # the car slid off the road
""")
_CASUAL = _lines("""
    Can't make it, {name}, sorry. # I regret that I am unable to attend, {name}.
    Hey {name}, what's up? # Good day, {name}. How are you?
    Gimme the file, {name}. # Please send me the file, {name}.
    Thanks a lot, {name}! # Thank you very much, {name}.
    {name}'s kinda busy. # {name} is somewhat occupied.
    Gotta go, {name}. # I have to leave now, {name}.
    No way, {name}! # I do not believe so, {name}.
    {name} wants to chat. # {name} would like to speak with you.
    Get back to me, {name}. # I look forward to your reply, {name}.
""")
_OPINIONS = _lines("""
    a moving story told with great warmth # positive
    every scene drags and nothing works # negative
    funny from the first minute to the last # positive
    the jokes are stale and the cast looks bored # negative
    wonderful music and a perfect ending # positive
    a waste of two hours # negative
    beautifully filmed and cleverly written # positive
    dull, noisy and far too long # negative
    I would gladly watch it again # positive
    I walked out before the end # negative
""")
_WORKS = ("film", "play", "series", "show", "musical")
_SENSES = _lines("""
    bank # He sat on the river's bank. # A boat lay at the bank. # The bank closes at five. # My bank sent it.
    bat # A bat flew by. # The bat sleeps by day. # He swung the bat. # Her bat is made of wood.
    light # The bag is light. # She has a light box. # Turn on the light. # The light in the hall is bright.
    spring # Tulips bloom in spring. # We move next spring. # The spring in the bed broke. # A spring closes the lid.
    match # They won the match. # The match lasted an hour. # He lit the fire with a match. # One match was left.
    ring # She wears a gold ring. # The ring fell off. # Give me a ring tonight. # He gave her a ring from the office.
    letter # I wrote a letter to my aunt. # The letter came by post. # B is the second letter. # Each letter is red.
    nail # He hit the nail with a hammer. # A nail holds the picture. # She broke a nail. # My nail grows fast.
""")
_UNITS = _list(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = _list("twenty thirty forty fifty sixty seventy eighty ninety")


def in_words(number: int) -> str:
    """A number from 0 to 9999 in English words, without "and"."""
    if number >= 1000:
        return f"{in_words(number // 1000)} thousand {in_words(number % 1000) if number % 1000 else ''}".strip()
    if number >= 100:
        return f"{_UNITS[number // 100]} hundred {in_words(number % 100) if number % 100 else ''}".strip()
    if number >= 20:
        return _TENS[number // 10 - 2] + (f"-{_UNITS[number % 10]}" if number % 10 else "")
    return _UNITS[number]


# -- how an item is drawn ---------------------------------------------------------------------------------------

_Draw = Callable[[random.Random], Item]


def _of_table(table: tuple[tuple[str, str], ...]) -> _Draw:
    def draw(rng: random.Random) -> Item:
        first, second = rng.choice(table)
        return Item(first, tuple(second.split("/")))

    return draw


def _words(rng: random.Random) -> str:
    return rng.choice((*_NOUNS, *_ANIMALS, *(one for one, _ in _OPPOSITES)))


def _first_letter(rng: random.Random) -> Item:
    word = _words(rng)
    return Item(word, (word[0],))


def _second_letter(rng: random.Random) -> Item:
    word = _words(rng)
    return Item(word, (word[1],))


def _letters(rng: random.Random) -> Item:
    word = _words(rng)
    return Item(word, (" ".join(word),))


def _starting_with(rng: random.Random) -> Item:
    chosen = rng.sample(_NOUNS, 6)
    letter = rng.choice(chosen)[0]
    found = [one for one in chosen if one[0] == letter]
    return Item(f"{' '.join(chosen)} [{letter}]", (" ".join(found),))


def _passive(rng: random.Random) -> Item:
    (subject, deed, _), (*_, thing) = rng.choice(_DEEDS), rng.choice(_DEEDS)
    return Item(f"The {subject} {deed} the {thing}.", (f"The {thing} was {deed} by the {subject}.",))


def _negation(rng: random.Random) -> Item:
    subject = rng.choice((*_PEOPLE, "The baker", "The old man", "My sister"))
    rest = rng.choice(
        ("in the garden", "from Italy", "a good cook", "ready to go", "at home", "the oldest", "afraid of dogs")
    )
    verb, short = rng.choice((("is", "isn't"), ("was", "wasn't")))
    return Item(f"{subject} {verb} {rest}.", (f"{subject} {verb} not {rest}.", f"{subject} {short} {rest}."))


def _animals(rng: random.Random) -> Item:
    beasts, things = rng.sample(_ANIMALS, rng.randint(2, 3)), rng.sample(_NOUNS, 3)
    mixed = rng.sample([*beasts, *things], len(beasts) + 3)
    return Item(", ".join(mixed), (", ".join(beasts),))


def _larger(rng: random.Random) -> Item:
    first, second = rng.sample(range(len(_ANIMALS)), 2)
    while abs(first - second) < 3:
        first, second = rng.sample(range(len(_ANIMALS)), 2)
    return Item(f"{_ANIMALS[first]}, {_ANIMALS[second]}", (_ANIMALS[max(first, second)],))


def _cause(rng: random.Random) -> Item:
    name = rng.choice(_PEOPLE)
    pair = [_sentence(one.format(name=name)) for one in rng.choice(_CAUSES)]
    shown = rng.sample(pair, 2)
    return Item(f"1: {shown[0]} 2: {shown[1]}", (pair[0],))


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _concept(rng: random.Random) -> Item:
    concept, things = rng.choice(_COMMON)
    return Item(", ".join(rng.sample(things.split(), 3)), (concept,))


def _formal(rng: random.Random) -> Item:
    name = rng.choice(_PEOPLE)
    casual, formal = rng.choice(_CASUAL)
    return Item(casual.format(name=name), (formal.format(name=name),))


def _sum(rng: random.Random) -> Item:
    first, second = rng.randint(0, 99), rng.randint(0, 99)
    return Item(f"{first} {second}", (str(first + second),))


def _difference(rng: random.Random) -> Item:
    second, first = sorted((rng.randint(0, 99), rng.randint(0, 99)))
    return Item(f"{first} {second}", (str(first - second),))


def _number(rng: random.Random) -> Item:
    number = rng.choice((rng.randint(0, 99), rng.randint(100, 999), rng.randint(1000, 9999)))
    return Item(str(number), (in_words(number), in_words(number).replace("-", " ")))


def _sentiment(rng: random.Random) -> Item:
    said, feeling = rng.choice(_OPINIONS)
    return Item(f"{rng.choice(_PEOPLE)} on the {rng.choice(_WORKS)}: {said}.", (feeling,))


def _alike(rng: random.Random) -> Item:
    (subject, deed, thing), other = rng.sample(_DEEDS, 2)
    first = f"The {subject} {deed} the {thing}."
    second, answer = rng.choice(
        ((f"The {thing} was {deed} by the {subject}.", "yes"), (f"The {other[0]} {other[1]} the {other[2]}.", "no"))
    )
    return Item(f"1: {first} 2: {second}", (answer,))


def _same_sense(rng: random.Random) -> Item:
    word, *sentences = rng.choice(_SENSES)
    first, second = sentences[:2], sentences[2:]
    is_same = rng.random() < 0.5
    pair = rng.choice((first, second)) if is_same else [rng.choice(first), rng.choice(second)]
    shown = rng.sample(pair, 2)
    return Item(f"{word}. 1: {shown[0]} 2: {shown[1]}", ("same" if is_same else "not the same",))


TASKS: tuple[Task, ...] = (
    Task("first letter", "spelling", "Write the first letter of the word.", _first_letter, alone=True),
    Task("second letter", "spelling", "Write the second letter of the word.", _second_letter, alone=True),
    Task("list letters", "spelling", "Write the letters of the word with a space between them.", _letters),
    Task("starting with", "spelling", "Pick the words that begin with the letter in brackets.", _starting_with, False),
    Task("pluralization", "grammar", "Write the plural of the word.", _of_table(_PLURALS)),
    Task("passivization", "grammar", "Put the sentence into the passive voice.", _passive),
    Task("negation", "grammar", "Negate the sentence.", _negation),
    Task("antonyms", "meaning", "Write a word that means the opposite.", _of_table(_OPPOSITES)),
    Task("synonyms", "meaning", "Write another word with the same meaning.", _of_table(_SYNONYMS)),
    Task("membership", "meaning", "Pick the animals from the list.", _animals, False),
    Task("rhymes", "sound", "Write a word that rhymes with the word.", _of_table(_RHYMES), alone=True),
    Task("larger animal", "knowledge", "Write which of the two animals is larger.", _larger, alone=True),
    Task("cause selection", "meaning", "Write the sentence that is the cause of the other.", _cause, alone=True),
    Task("common concept", "meaning", "Write what the things have in common.", _concept),
    Task("formality", "style", "Say the sentence in formal language.", _formal),
    Task("sum", "numbers", "Add the two numbers.", _sum),
    Task("difference", "numbers", "Subtract the second number from the first.", _difference),
    Task("number to word", "numbers", "Write the number in words.", _number),
    Task("translation en-de", "translation", "Translate the word into German.", _of_table(_GERMAN)),
    Task("translation en-es", "translation", "Translate the word into Spanish.", _of_table(_SPANISH)),
    Task("translation en-fr", "translation", "Translate the word into French.", _of_table(_FRENCH)),
    Task("sentiment", "judging", "Say whether the opinion is positive or negative.", _sentiment, alone=True),
    Task("sentence similarity", "judging", "Say whether both sentences mean the same: yes or no.", _alike,
         alone=True),
    Task("word in context", "judging", "Say if the word means the same in both: same or not the same.", _same_sense,
         alone=True),
)  # fmt: skip
