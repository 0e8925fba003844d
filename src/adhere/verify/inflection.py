"""The inflected forms of an English word, by rules of spelling and lists of irregular words.

`forms` generates: from a base come its plural, third person, past, participles and, for listed adjectives, comparison;
from an inflected word come the bases that it can be a form of, with all their forms. Generating by spelling keeps
neighbours apart that cutting off endings would join: "rating" is a form of "rate" and not of "rat".

What it does not do. It knows no context, so a word with two readings has the forms of both ("left" is one of "leave"
and stands for itself). Words made from words are no forms: "teacher" is none of "teach", nor "quickly" of "quick".
Comparatives are known for listed adjectives only, so that "corner" is none of "corn". Every noun may be used as a verb
("tabled"). British and American spellings of a base ("colour", "color") are two words. Other languages have no rules
here: a word of theirs is found as it is written, or with an English ending.
"""

from __future__ import annotations

import re
from functools import lru_cache

from adhere.core.errors import VerifierError
from adhere.verify.folding import Span, fold, folded, whole

# base, past, participle; a slash gives a second form. The participle is left out where it is the past.
_VERBS_TEXT = """
arise arose arisen; awake awoke awoken; bear bore borne/born; beat beat beaten; become became become; begin began begun
behold beheld; bend bent; bet bet; bid bid/bade bidden; bind bound; bite bit bitten; bleed bled; blow blew blown
break broke broken; breed bred; bring brought; build built; burst burst; buy bought; cast cast; catch caught
choose chose chosen; cling clung; come came come; cost cost; creep crept; cut cut; deal dealt; dig dug; do did done
draw drew drawn; drink drank drunk; drive drove driven; eat ate eaten; fall fell fallen; feed fed; feel felt
fight fought; find found; flee fled; fling flung; fly flew flown; forbid forbade forbidden; forget forgot forgotten
forgive forgave forgiven; forsake forsook forsaken; freeze froze frozen; get got got/gotten; give gave given
go went gone; grind ground; grow grew grown; have had; hear heard; hide hid hidden; hit hit; hold held
hurt hurt; keep kept; know knew known; lay laid; lead led; leave left; lend lent; let let; lose lost
make made; mean meant; meet met; pay paid; put put; quit quit; read read; rend rent; rid rid; ride rode ridden
ring rang rung; rise rose risen; run ran run; say said; see saw seen; seek sought; sell sold; send sent; set set
shake shook shaken; shed shed; shoot shot; shrink shrank shrunk; shut shut; sing sang sung; sink sank sunk; sit sat
slay slew slain; sleep slept; slide slid; sling slung; slit slit; speak spoke spoken; spend spent; spin spun
spit spat; split split; spread spread; spring sprang sprung; stand stood; steal stole stolen; stick stuck; sting stung
stink stank stunk; stride strode stridden; strike struck struck/stricken; string strung; strive strove striven
swear swore sworn; sweep swept; swim swam swum; swing swung; take took taken; teach taught; tear tore torn; tell told
think thought; throw threw thrown; thrust thrust; tread trod trodden; understand understood; wear wore worn
weave wove woven; weep wept; win won; wind wound; wring wrung; write wrote written
undo undid undone; redo redid redone; undergo underwent undergone; forgo forwent forgone; foresee foresaw foreseen
"""
# Verbs that are used with regular forms as well.
_MIXED_TEXT = """
burn burnt; dream dreamt; dwell dwelt; kneel knelt; knit knit; lean leant; leap leapt; learn learnt; light lit
mow mowed mown; prove proved proven; saw sawed sawn; sew sewed sewn; shave shaved shaven; shear sheared shorn
shine shone; show showed shown; smell smelt; sow sowed sown; speed sped; spell spelt; spill spilt; spoil spoilt
swell swelled swollen; wake woke woken; wed wed; wet wet; fit fit; broadcast broadcast; forecast forecast; input input
cleave clove cloven; hang hung; lie lay lain; hew hewed hewn; bereave bereft; plead pled; sneak snuck; dive dove
strew strewed strewn
"""
_BE_TEXT = "be am is are was were been being"
_BE = frozenset(_BE_TEXT.split())
_PREFIXES = ("re", "un", "over", "out", "under", "mis", "fore", "up", "with", "inter", "down")

_NOUNS_TEXT = """
man men; woman women; child children; foot feet; tooth teeth; goose geese; mouse mice; louse lice; ox oxen; die dice
person people; penny pence; calf calves; elf elves; half halves; knife knives; leaf leaves; life lives; loaf loaves
self selves; sheaf sheaves; shelf shelves; thief thieves; wife wives; wolf wolves; scarf scarves; hoof hooves
wharf wharves; dwarf dwarves; analysis analyses; axis axes; basis bases; crisis crises; diagnosis diagnoses
ellipsis ellipses; emphasis emphases; hypothesis hypotheses; oasis oases; parenthesis parentheses; synopsis synopses
synthesis syntheses; thesis theses; alga algae; antenna antennae; formula formulae; larva larvae; vertebra vertebrae
alumnus alumni; bacillus bacilli; cactus cacti; focus foci; fungus fungi; nucleus nuclei; radius radii
stimulus stimuli; syllabus syllabi; terminus termini; bacterium bacteria; criterion criteria; curriculum curricula
datum data; medium media; memorandum memoranda; millennium millennia; phenomenon phenomena; stratum strata
appendix appendices; index indices; matrix matrices; vertex vertices; vortex vortices; corpus corpora; genus genera
"""
_MAN_ENDING = re.compile(
    r"^(?:fire|police|sales|post|business|camera|chair|council|craft|fisher|fresh|gentle|hand|milk|noble|sea|snow"
    r"|spokes|sports|states|super|work|wo|congress|country|door|english|french|irish|dutch|frog|horse|mail|middle)m[ae]n$"
)

_ADJECTIVES_TEXT = """
able angry big black blue bold brave brief bright broad brown busy calm cheap chilly clean clear clever close cloudy
clumsy coarse cold cool crazy creamy cruel curly cute damp dark dear deep dense dirty dry dull dusty eager early easy
faint fair fancy fast fat few fierce fine firm flat fond foggy fresh friendly full funny gentle gloomy grand grave
gray great green grey guilty handy happy hard harsh healthy heavy high hot humble hungry icy juicy keen kind large
late lazy lean light likely little lively lonely long loose loud lovely low lucky mad mean messy mild muddy narrow
nasty near neat new nice noble noisy odd old pale plain pleasant polite poor pretty proud pure quick quiet rainy rare
raw red rich ripe risky rough round rude sad safe salty sane scary shallow sharp shiny short shy silly simple sleepy
slim slow small smart smooth soft sore sour spicy steady steep sticky stiff still strange strict strong sunny sure
sweet swift tall tasty thick thin thirsty tidy tight tiny tough true ugly unhappy unlucky vague vast warm wary weak
wealthy weird wet white wide wild windy wise worthy yellow young
"""
_ADJECTIVES = frozenset(_ADJECTIVES_TEXT.split())
_COMPARED = {
    "good": ("better", "best"),
    "well": ("better", "best"),
    "bad": ("worse", "worst"),
    "far": ("farther", "farthest", "further", "furthest"),
    "old": ("elder", "eldest"),
    "much": ("more", "most"),
    "many": ("more", "most"),
    "little": ("less", "least"),
}

# Words that look inflected and are not, or that have no other form.
_FIXED_TEXT = """
a about above across after again against all almost along already also although always among an and another any
anybody anyone anything as at because before behind below beneath beside besides between beyond both but by can could
despite during each either else enough ever every everybody everyone everything except for from he hence her hers
herself him himself his how however i if in indeed inside instead into it its itself just may me meanwhile might mine
must my myself neither never no nobody none nor not nothing now of off often on once only onto or other ought our ours
ourselves outside over own per perhaps quite rather she should since so some somebody someone something sometimes soon
such than that the their theirs them themselves then there these they this those though through throughout thus to
together too toward towards under unless until unlike upon us very via we what whatever when whenever where whereas
whether which while who whole whom whose why will with within without would yes yet you your yours yourself yourselves
athletics darling economics electronics ethics genetics gymnastics hundred inning kindred lens lightning linguistics
mathematics naked news physics politics ragged rugged sacred series sibling species spring sterling wicked
ceiling evening herring morning pudding shilling wedding
"""
_FIXED = frozenset(_FIXED_TEXT.split()) - {"spring", "can", "will", "while", "own", "other", "might", "mine", "even"}
_TAKES_ENDINGS_TEXT = "ceiling evening herring inning lens morning pudding shilling sibling wedding"
_TAKES_ENDINGS = frozenset(_TAKES_ENDINGS_TEXT.split())

_VOWELS = "aeiouy"
_SHORT_STEM = re.compile(r"^(?:[^aeiou]*|[^aeiou]*qu)[aeiouy][^aeiouywx]$")
_LATE_DOUBLING = re.compile(r"(?:[^aeiou]|qu)[aeiou][^aeiouywx]$")
_HISSING = re.compile(r"(?:s|x|z|ch|sh)$")
_CONSONANT_Y = re.compile(r"[^aeiou]y$")
_CONSONANT_O = re.compile(r"[^aeiou]o$")
_KEEPS_E = re.compile(r"(?:ee|oe|ye)$")
_SINGED = frozenset({"singe", "tinge", "swinge"})
_PLAIN = re.compile(r"[a-z]+$")


def _table(text: str) -> dict[str, frozenset[str]]:
    entries = (entry.split() for line in text.strip().split("\n") for entry in line.split(";"))
    return {base: frozenset(form for given in others for form in given.split("/")) for base, *others in entries}


_VERBS = _table(_VERBS_TEXT)
_MIXED = _table(_MIXED_TEXT)
_NOUNS = _table(_NOUNS_TEXT)


@lru_cache(maxsize=1024)
def forms(word: str) -> frozenset[str]:
    """All forms of a lower-case English word, itself among them, whichever of its forms it is given in."""
    if not _PLAIN.match(word):
        return frozenset({word})
    return frozenset({word}).union(*(_forms_of_base(base) for base in _bases(word)))


def _forms_of_base(base: str) -> frozenset[str]:
    if base in _BE:
        return _BE
    if base in _FIXED:
        return frozenset({base, _plural(base)} if base in _TAKES_ENDINGS else {base})
    irregular, also_regular = _irregular(base)
    found = {_plural(base), *_ing(base), *_compared(base)}
    if _CONSONANT_O.search(base):
        found.add(base + "s")
    if also_regular:
        found |= _past(base)
    # Words of their own that only look like a form: "news" is none of "new", nor "feed" of "fee".
    found = {form for form in found if form not in _FIXED and form not in _VERBS}
    found |= {base} | irregular | _NOUNS.get(base, frozenset())
    if _MAN_ENDING.match(base) and base.endswith("man"):
        found.add(base[:-2] + "en")
    if base == "have":
        found = (found | {"has"}) - {"haves"}
    return frozenset(found)


def _irregular(base: str) -> tuple[frozenset[str], bool]:
    """The irregular past forms of a verb, and whether it may have the regular ones."""
    if base in _VERBS:
        return _VERBS[base], False
    if base in _MIXED:
        return _MIXED[base], True
    for prefix in _PREFIXES:
        stem = base.removeprefix(prefix)
        if stem != base and stem in _VERBS and len(stem) > 2:
            return frozenset(prefix + form for form in _VERBS[stem]), True
    return frozenset(), True


def _plural(base: str) -> str:
    """The plural of a noun, which is the third person of a verb."""
    if _CONSONANT_Y.search(base):
        return base[:-1] + "ies"
    if _HISSING.search(base) or _CONSONANT_O.search(base):
        return base + ("zes" if re.search(r"[aeiou]z$", base) and len(base) < 5 else "es")
    return base + "s"


def _stems(base: str) -> set[str]:
    """What -ing and -ed are added to: with a doubled consonant, one that may be doubled both ways, or as it is."""
    if _SHORT_STEM.match(base):
        return {base + base[-1]}
    if base.endswith("c"):
        return {base + "k"}
    if _LATE_DOUBLING.search(base):
        return {base, base + base[-1]}
    return {base}


def _ing(base: str) -> set[str]:
    if base.endswith("ie"):
        return {base[:-2] + "ying"}
    if base.endswith("e") and not _KEEPS_E.search(base) and base not in _SINGED and len(base) > 2:
        return {base[:-1] + "ing"}
    return {stem + "ing" for stem in _stems(base)}


def _past(base: str) -> set[str]:
    if base.endswith("e"):
        return {base + "d"}
    if _CONSONANT_Y.search(base):
        return {base[:-1] + "ied"}
    return {stem + "ed" for stem in _stems(base)}


def _compared(base: str) -> set[str]:
    found = set(_COMPARED.get(base, ()))
    if base in _ADJECTIVES:
        if base.endswith("e"):
            stems = {base[:-1]}
        elif _CONSONANT_Y.search(base) and base not in {"shy", "dry"}:
            stems = {base[:-1] + "i"}
        elif base == "dry":
            stems = {"dri", "dry"}
        else:
            stems = _stems(base)
        found |= {stem + ending for stem in stems for ending in ("er", "est")}
    return found


@lru_cache(maxsize=1)
def _bases_of_irregular() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {form: {"be"} for form in _BE}
    listed = [_VERBS, _MIXED, _NOUNS, {base: frozenset(compared) for base, compared in _COMPARED.items()}]
    for table in listed:
        for base, others in table.items():
            for form in others:
                found.setdefault(form, set()).add(base)
    found.setdefault("has", set()).add("have")
    return found


def _bases(word: str) -> set[str]:
    """The bases that the word can be a form of; itself is one unless it is a known form or looks like one."""
    if word in _FIXED:
        return {word}
    known = _bases_of_irregular().get(word, set())
    # What generating confirms is a form; a base that is no word does no harm: it brings forms that nobody writes.
    guessed = {base for base in _cut(word) if _plausible(base) and word in _forms_of_base(base)}
    return {word} | known | guessed


def _cut(word: str) -> set[str]:
    """Possible bases by taking endings off."""
    found: set[str] = set()
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        found |= {word[:-1], word[:-2] if word.endswith("es") else ""}
        found |= {word[:-3], word[:-3] + "y"} if word.endswith("ies") else {""}
    for ending in ("ing", "ed", "er", "est"):
        if word.endswith(ending):
            stem = word[: -len(ending)]
            found |= {stem, stem + "e", stem[:-1] if stem[-1:] == stem[-2:-1] else ""}
            found |= {stem[:-1] + "y"} if stem.endswith("i") else {""}
            found |= {stem[:-1] + "ie"} if ending == "ing" and stem.endswith("y") else {""}
            found |= {stem[:-1]} if stem.endswith("ck") else {""}
    for prefix in _PREFIXES:
        rest = word.removeprefix(prefix)
        found |= {prefix + base for base in _bases_of_irregular().get(rest, ())} if rest != word else {""}
    if word.endswith("men"):
        found.add(word[:-2] + "an")
    return found - {""}


def _plausible(base: str) -> bool:
    """Whether a guessed base can be a word: known, or long enough with a vowel besides a final e."""
    if base in _VERBS or base in _NOUNS or base in _MIXED:
        return True
    fewest = 4 if base.endswith("ee") else 3
    return base not in _FIXED and len(base) >= fewest and any(vowel in base[:-1] for vowel in _VOWELS)


def any_form(word: str, reply: str) -> list[Span]:
    """Where any form of a word stands; in a phrase each of its words may take any form."""
    text = folded(reply)
    found = _form_pattern(word, text.text.isascii()).finditer(text.text)
    return [text.span(match.span()) for match in found]


@lru_cache(maxsize=256)
def _form_pattern(word: str, plain: bool) -> re.Pattern[str]:
    options = [tuple(sorted(forms(part))) for part in fold(word).split()]
    if not options:
        raise VerifierError("expected a word, found a blank one", "Give at least one letter.")
    # Borders at both ends of each word, so that alternatives of one word stay together.
    return re.compile(r"\s+".join(f"(?:{whole(bodies, plain).pattern})" for bodies in options))
