"""Wordings of constraints made of constraints; `{parts}` and its like are filled with the words of the parts."""

ALL = (
    "All of the following must hold for your answer: {parts}",
    "Your answer has to meet every one of these points: {parts}",
    "Keep to each of these rules without exception: {parts}",
    "These rules apply together: {parts}",
    "Please see to it that all of this is true of what you write: {parts}",
    "There are several demands, and none may be missed: {parts}",
    "I will accept the answer only if it does all of this: {parts}",
    "Follow each and every one of these: {parts}",
    "Do not leave out any of the following: {parts}",
    "Together, the following must be satisfied: {parts}",
    "Here is what your answer must do, in full: {parts}",
    "Every item here is required: {parts}",
)
ALL_HELDOUT = (
    "A single miss spoils it, so mind the whole list: {parts}",
    "Combine the following in one answer: {parts}",
    "Nothing on this list is optional: {parts}",
    "Consider these as joined by AND: {parts}",
)
ANY = (
    "At least one of the following must hold for your answer: {parts}",
    "Your answer has to meet one of these points, whichever you like: {parts}",
    "Pick one of these rules and keep to it: {parts}",
    "It is enough to do one of these: {parts}",
    "Please see to it that one or more of these is true of what you write: {parts}",
    "You have a choice between these demands: {parts}",
    "I will accept the answer if it does any one of these: {parts}",
    "Follow one of these; more is fine too: {parts}",
    "Do one of the following, the others as you please: {parts}",
    "One of these, no matter which, must be satisfied: {parts}",
    "Here is what your answer can do, and one of it must be done: {parts}",
    "Only one item from this list is required: {parts}",
)
ANY_HELDOUT = (
    "A single hit is all it takes from this list: {parts}",
    "Choose freely, but do not pass over all of these: {parts}",
    "Missing some of these is fine, missing them all is not: {parts}",
    "Consider these as joined by OR: {parts}",
)
NONE = (
    "None of the following may be true: {parts}",
    "Make sure that nothing of this applies: {parts}",
    "Avoid each of these: {parts}",
    "These things must not happen: {parts}",
    "Please see to it that none of this comes true: {parts}",
    "There are things I do not want to see: {parts}",
    "I will turn the answer down if any of this is so: {parts}",
    "Do the opposite of each of these: {parts}",
    "Not one of the following may hold: {parts}",
    "Stay clear of all of these: {parts}",
    "Here is what must not be the case: {parts}",
    "Every item here is ruled out: {parts}",
)
NONE_HELDOUT = (
    "A single hit on this list spoils it: {parts}",
    "Forbidden, all of it: {parts}",
    "Let no entry of this list describe what you write: {parts}",
    "Consider each of these as having a NOT in front: {parts}",
)
AT_LEAST = (
    "At least {n} of the following must hold for your answer: {parts}",
    "Your answer has to meet {n} or more of these points: {parts}",
    "Pick {n} of these rules and keep to them: {parts}",
    "It is enough to do {spelled} of these: {parts}",
    "Please see to it that {spelled} or more of these hold: {parts}",
    "From these demands, choose {n} to follow: {parts}",
    "I will accept the answer if it does {spelled} of these: {parts}",
    "Follow {n} of these; more is fine too: {parts}",
    "Do {spelled} of the following, the others as you please: {parts}",
    "No fewer than {n} of these must be satisfied: {parts}",
    "Here is what your answer can do, and {n} of it must be done: {parts}",
    "Of the items on this list, {spelled} must be there: {parts}",
)
AT_LEAST_HELDOUT = (
    "Score {n} hits or better on this list: {parts}",
    "Choose freely, as long as you cover {spelled} of these: {parts}",
    "The pass mark is {n}, with a point for each of these: {parts}",
    "A minimum of {n} has to be ticked off here: {parts}",
)
CHAIN = (
    "Work through these points in order; each counts only if those before it were met: {parts}",
    "Meet these demands one after the other, since each builds on the last: {parts}",
    "Each of these rules rests on the one before it: {parts}",
    "First things first, and do not skip any: {parts}",
    "Please see to these in turn; a later one is worth nothing without the earlier ones: {parts}",
    "There is a chain of demands, and it breaks at the first one missed: {parts}",
    "I check these from the top and stop at the first failure: {parts}",
    "Follow these step by step, none without the one before: {parts}",
    "In this sequence, every point depends on its forerunner: {parts}",
    "One after another, these must be satisfied: {parts}",
    "Here is what your answer must do, where each item needs the previous one: {parts}",
    "The order of these items matters, for each is tied to the one above: {parts}",
)
CHAIN_HELDOUT = (
    "As with steps of a ladder, you need the lower to stand on the higher: {parts}",
    "You unlock each of these by doing what precedes it: {parts}",
    "Nothing late in this list is credited if something early is missing: {parts}",
    "Consider these as linked by THEN: {parts}",
)
GRAPH = (
    "These points must all be met, and some need others: {parts}",
    "Your answer has to meet these points, where some count only with others: {parts}",
    "Keep to these rules and mind which rest on which: {parts}",
    "The following belongs together as stated: {parts}",
    "Please see to all of this, and note what depends on what: {parts}",
    "There are several demands, and some are worth nothing without others: {parts}",
    "I check these together with what each of them relies on: {parts}",
    "Follow all of these, also where one is the ground for another: {parts}",
    "Some of these points support others, and every one is needed: {parts}",
    "With their dependencies, the following must be satisfied: {parts}",
    "Here is what your answer must do, including what relies on what: {parts}",
    "Every item here is required, and some items require each other: {parts}",
)
GRAPH_HELDOUT = (
    "A miss here pulls down what hangs from it, so mind the whole list: {parts}",
    "Read this as a plan in which some parts carry others: {parts}",
    "Nothing is credited whose footing on this list is missing: {parts}",
    "Consider these as nodes, with arrows where noted: {parts}",
)
SELECTION = (
    "If {when}, do this: {then} If not, do this: {otherwise}",
    "In case {when}, the rule is: {then} In all other cases: {otherwise}",
    "What I ask for depends. If {when}: {then} Otherwise: {otherwise}",
    "Please check whether {when}. If so: {then} If not so: {otherwise}",
    "When {when}, follow this: {then} When that is not the case, follow this: {otherwise}",
    "There are two cases. If {when}: {then} Else: {otherwise}",
    "Provided that {when}, this holds for your answer: {then} Failing that, this holds: {otherwise}",
    "The rule differs. Should it be that {when}: {then} Should it not be so: {otherwise}",
    "If it is true that {when}: {then} And if it is not true: {otherwise}",
    "Only if {when}, this is asked of you: {then} Without it, this is: {otherwise}",
    "Take one of two ways. The first, if {when}: {then} The second, if not: {otherwise}",
    "As soon as {when}, this counts: {then} Up to then, this counts: {otherwise}",
)
SELECTION_HELDOUT = (
    "One condition decides: that {when}. Where it is met: {then} Where it is missed: {otherwise}",
    "Ask yourself if {when}. Yes means: {then} No means: {otherwise}",
    "Two paths part here. On the side where {when}: {then} On the far side: {otherwise}",
    "Consider this as IF ({when}) THEN ({then}) ELSE ({otherwise})",
)
