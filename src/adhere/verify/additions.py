"""Sentences that repairs add to a reply: mentions of keywords, letters, openings, postscripts.

All go with any subject, read as part of an answer, and hold no comma, so that adding one does not break a
constraint that forbids commas.
"""

from __future__ import annotations

from adhere.verify.pieces import is_list_item
from adhere.verify.rewriting import variant

# Words that are drawn as keywords without standing in the instruction, each with sentences it fits into.
COMMON: dict[str, tuple[str, ...]] = {
    "people": ("Most people get used to it sooner than they expect.", "Other people may see it differently."),
    "time": ("It only takes a little time.", "Give it some time and see what happens."),
    "place": ("Everything has its place.", "That is a good place to start."),
    "example": ("This is only one example among many.", "Another example may make it clearer."),
    "reason": ("There is a good reason for that.", "The reason is not hard to see."),
    "change": ("A small change often makes the difference.", "You can change the details later."),
    "world": ("It is the same all over the world.", "The rest of the world can wait."),
    "help": ("A friend may be glad to help.", "Do not hesitate to ask for help."),
    "today": ("You could begin today.", "That is true today as well."),
    "simple": ("The idea behind it is simple.", "Simple things often work best."),
    "different": ("Every case is a little different.", "Next year may be different."),
    "clear": ("The main point should be clear by now.", "It helps to be clear about this."),
    "often": ("This happens more often than one might think.", "It often pays to look twice."),
    "important": ("This part is more important than it looks.", "It is important not to rush."),
    "small": ("Even a small step counts.", "The difference is small but real."),
    "start": ("That is enough for a start.", "It is never too late to start."),
    "together": ("Taken together these points make sense.", "It is more fun together with others."),
    "practice": ("All it takes is some practice.", "It gets easier with practice."),
    "choice": ("The choice is yours.", "There is no wrong choice here."),
    "future": ("This will matter in the future as well.", "Who knows what the future will bring."),
    "money": ("It need not cost much money.", "Time is worth more than money here."),
    "home": ("You can do this at home.", "In the end everyone goes home."),
    "story": ("That is not the whole story.", "Everyone has a story like this."),
    "question": ("One question remains open.", "The question is worth asking."),
    "idea": ("It is a good idea to sleep on it.", "That is the whole idea."),
    "moment": ("Take a moment to think it over.", "It only takes a moment."),
    "plan": ("It is good to have a plan.", "Nothing speaks against this plan."),
    "season": ("Every season has its own charm.", "It depends a little on the season."),
    "morning": ("It all looks better in the morning.", "The morning is the best part of the day."),
    "friend": ("You might ask a friend as well.", "A good friend would say the same."),
    "value": ("The value of this shows later.", "Such things keep their value."),
    "skill": ("It is a skill that grows with use.", "Nobody is born with this skill."),
    "nature": ("It lies in the nature of things.", "Nature often shows the way."),
    "balance": ("It is all a matter of balance.", "The right balance is worth some effort."),
    "careful": ("It pays to be careful.", "A careful look is never wasted."),
    "quality": ("Quality counts more than quantity.", "One can tell the quality at once."),
    "energy": ("Save your energy for what counts.", "It gives you new energy."),
    "patience": ("A little patience is needed.", "Patience pays off in the end."),
    "detail": ("Every detail counts.", "One detail is easily overlooked."),
    "purpose": ("All of this serves a purpose.", "It is good to have a purpose."),
    "journey": ("It is a journey worth making.", "Every journey begins with one step."),
    "community": ("The whole community gains from it.", "A community can do more than one alone."),
    "history": ("It has a long history.", "History offers many similar cases."),
    "support": ("Support is never far away.", "Some support from others makes it easier."),
}

_MENTIONS = (
    "Most of it comes down to the {word}.",
    "Pay special attention to the {word}.",
    "Do not forget about the {word}.",
    "A second look at the {word} is worthwhile.",
    "It helps to begin with the {word}.",
    "Everything else can be built around the {word}.",
    "Much depends on the {word}.",
    "That leaves the {word} to think about.",
    "Few details count as much as the {word}.",
    "There is always something new to notice about the {word}.",
    "I would keep an eye on the {word} as well.",
    "Take your time with the {word}.",
    "In the end it is all about the {word}.",
    "The rest follows from the {word}.",
    "Nobody will be surprised to find the {word} at the centre of it.",
    "More could be said about the {word}.",
)

MOST_MENTIONS = 4


def mentions(word: str, number: int, reply: str) -> list[str]:
    """`number` different sentences with the word in each, at most `MOST_MENTIONS`."""
    own = COMMON.get(word.lower(), ())
    start = variant(reply + word, range(len(_MENTIONS)))
    # Neighbours in the list are taken in steps, so that two of them in one reply do not resemble each other.
    general = [_MENTIONS[(start + 5 * at) % len(_MENTIONS)].format(word=word) for at in range(MOST_MENTIONS)]
    if own:
        first = variant(word + reply, range(len(own)))
        return [*own[first:], *own[:first], *general][:number]
    return general[:number]


def mention_all(words: list[str], reply: str) -> str:
    """One sentence or more with all of the words: those with a sentence of their own first, the others together."""
    own = [mentions(word, 1, reply)[0] for word in words if word.lower() in COMMON]
    others = [word for word in words if word.lower() not in COMMON]
    if others:
        own += mentions(" and the ".join(others), 1, reply)
    return " ".join(own)


_WITH_LETTERS = (
    "Please ask if any question is still open.",
    "Just say so if you would like a bit more detail.",
    "Quite a few people ask about exactly this and the quick answer is enough.",
    "It always helps to keep the whole picture in view.",
    "A lazy start is fine since a size that fits comes with practice.",
    "Judge it for yourself and adjust it bit by bit.",
    "Keep checking back every week to make sure that nothing was overlooked.",
    "Remember that small steps made every day become something much bigger.",
    "A quiet hour is quite enough for a quick look at it.",
    "Enjoy the journey and just join in with joy.",
    "Expect an extra example or two to fix the exact idea.",
    "A dozen tries may seem crazy but prizes go to those who realize their plans.",
    "Very few things ever have every virtue.",
    "Take a look back at the work and keep what works.",
    "Happy people simply keep practising step by step.",
    "Now and then we all wonder which way would work.",
    "You may try any way you like and stay happy.",
    "Go along slowly and nothing big will go wrong.",
    "Good habits begin with big and bold but doable goals.",
    "Life offers few fine gifts for free.",
    "Which choice is the right one becomes clear in practice.",
    "There is no need to hurry.",
)


def with_letter(letter: str, number: int, reply: str) -> str | None:
    """The sentences, two at most, that hold the letter `number` times or more, or None."""
    counts = sorted(
        ((one.lower().count(letter), one) for one in _WITH_LETTERS if letter in one.lower()),
        key=lambda pair: (-pair[0], len(pair[1])),
    )
    enough = sorted((one for count, one in counts if count >= number), key=len)[:3]
    if enough:
        return variant(reply, enough)
    two = counts[:2]
    return " ".join(one for _, one in two) if len(two) == 2 and two[0][0] + two[1][0] >= number else None


OPENINGS: dict[str, tuple[str, ...]] = {
    "the": ("The main point is this.", "The next part deserves a closer look."),
    "a": ("A few things matter here.", "A closer look pays off."),
    "it": ("It is worth saying this clearly.", "It helps to know the following."),
    "this": ("This part matters.", "This is how it goes."),
    "in": ("In short it comes down to this.", "In other words it is simple."),
    "when": ("When in doubt keep this in mind.", "When all is said and done this counts."),
    "one": ("One thing is worth adding.", "One point stands out."),
    "there": ("There is more to say.", "There is one more thing to know."),
    "as": ("As it happens there is more to it.", "As so often the details count."),
    "for": ("For now this is what counts.", "For a start this is enough."),
    "to": ("To be clear this matters.", "To put it simply it goes like this."),
    "of": ("Of course there is more to it.", "Of all points this one is easily missed."),
    "with": ("With that in mind here is more.", "With some care it goes like this."),
    "on": ("On the whole it comes down to this.", "On a closer look there is more."),
    "at": ("At this point it gets interesting.", "At first sight it looks simple."),
    "by": ("By the way there is more to it.", "By now the main idea should be clear."),
    "first": ("First things first.", "First comes what matters most."),
    "second": ("Second comes another point.", "Second on the list is this."),
    "third": ("Third on the list is this.", "Third comes one more point."),
    "next": ("Next comes another point.", "Next there is this to consider."),
    "then": ("Then there is this.", "Then comes the next part."),
    "finally": ("Finally there is this to say.", "Finally comes one more point."),
    "however": ("However there is another side to it.", "However small it may seem this counts."),
    "therefore": ("Therefore the following matters.", "Therefore it is good to know this."),
    "also": ("Also worth knowing is this.", "Also keep the following in mind."),
    "today": ("Today this matters more than ever.", "Today it is easier than it used to be."),
    "additionally": ("Additionally there is this to consider.", "Additionally it helps to know this."),
    "overall": ("Overall it comes down to this.", "Overall the picture is clear."),
    "meanwhile": ("Meanwhile there is more to see.", "Meanwhile something else counts too."),
    "instead": ("Instead of stopping here let us go on.", "Instead of many words here is the point."),
    "thus": ("Thus the picture becomes clearer.", "Thus far so good."),
    "moreover": ("Moreover there is another point.", "Moreover this should be said."),
    "furthermore": ("Furthermore this should be said.", "Furthermore there is another point."),
    "ultimately": ("Ultimately it comes down to this.", "Ultimately this is what counts."),
    "still": ("Still there is more to say.", "Still one point remains."),
    "initially": ("Initially this may come as a surprise.", "Initially it all looks simple."),
    "sometimes": ("Sometimes the details matter most.", "Sometimes a closer look is needed."),
    "often": ("Often it is the details that count.", "Often the simplest way is the best."),
    "perhaps": ("Perhaps this part is the most useful.", "Perhaps a closer look will help."),
    "indeed": ("Indeed there is more to it.", "Indeed this is what counts."),
    "later": ("Later on this becomes clearer.", "Later there is more to see."),
    "once": ("Once this is clear the rest is easy.", "Once in a while it pays to look closer."),
    "now": ("Now to the details.", "Now comes the next part."),
}
"""Complete sentences by the word that they open with."""

_JOINED_TEXT = """
finally however therefore today additionally overall meanwhile instead thus moreover furthermore ultimately still
initially sometimes often perhaps indeed later now first second third next
"""
_JOINED = frozenset(_JOINED_TEXT.split())
_LOWERED_TEXT = """
a an the this that these those it there they we you he she its their your our my
"""
_LOWERED = frozenset(_LOWERED_TEXT.split())


def opened_with(first: str, paragraph: str) -> str:
    """The paragraph behind an opening whose first word is `first`: joined to it where that is safe, else on its own."""
    key, word = first.lower(), first[:1].upper() + first[1:]
    head, _, rest = paragraph.partition(" ")
    if key in _JOINED and head.lower() in _LOWERED and rest:
        return f"{word}, {head.lower()} {rest}"
    opening = variant(paragraph, OPENINGS[key]) if key in OPENINGS else f"{word} comes first."
    # Behind a list, a heading or a quotation the opening would read as part of it.
    apart = not paragraph[:1].isalnum() or is_list_item(paragraph)
    return f"{opening}\n{paragraph}" if apart else f"{opening} {paragraph}"


POSTSCRIPTS = (
    "Write back any time if something is unclear.",
    "Take your time with it and enjoy it.",
    "Feel free to share this with anyone who might like it.",
    "I would love to hear what you think.",
    "There is more where this came from.",
    "Let me know if you would like a longer version.",
    "A little patience goes a long way.",
    "I can go into more detail if you like.",
    "Do not worry if it takes a second reading.",
    "Keep this somewhere safe for later.",
    "I hope it brings a smile to your face.",
    "Small changes are welcome if they suit you better.",
    "There is no need to hurry.",
    "Tell me how it turns out.",
    "If you change your mind about something just ask again.",
    "It may help to come back to this tomorrow.",
    "A good night's sleep helps with most things.",
    "Thank you for the interesting task.",
    "You are welcome to use any part of this.",
    "Ask me again if you want to see it from another side.",
)
"""Postscripts that suit any reply."""
