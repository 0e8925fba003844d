"""The form of dates, times, amounts, units and numbers; what the whole reply is, is in `values_answers` and `patterns`.

A number in a reply has at most 15 digits on either side of its point; longer runs are
codes rather than amounts and are not looked at, so that arithmetic on a hostile reply stays cheap.
"""

from __future__ import annotations

import datetime
import random
import re
from decimal import Decimal
from functools import lru_cache

from adhere.core.verifier import Verdict
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, judged_range, passed
from adhere.verify.families import patterns, values_answers
from adhere.verify.families import values_wording as say
from adhere.verify.families.given import counted_as
from adhere.verify.spans import first_spans
from adhere.verify.wording import counted

_COUNTS = range(1, 1001)
Spans = list[tuple[int, int]]


def _all_in_form(good: Spans, bad: Spans, least: int, thing: str, wrong: str) -> Verdict:
    """The verdict where at least so many must be in a form, and none in another; `wrong` names those."""
    if bad:
        share = min(len(good), least) / least
        said = f"{len(bad)} {wrong}, wanted none; {len(good)} {thing}"
        return failed(said, 0.9 * share * len(good) / (len(good) + len(bad)), first_spans(sorted(bad)), len(bad))
    return judged_range(len(good), least, None, thing, first_spans(good))


# ---------------------------------------------------------------- dates and times

_MONTHS_TEXT = "January February March April May June July August September October November December"
_MONTHS = tuple(_MONTHS_TEXT.split())
_MONTH = r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
_MONTH += r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
_DATES = re.compile(
    r"(?<![\w./-])(?:\d{1,4}(?P<mark>[-/.])\d{1,2}(?P=mark)\d{1,4}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH},? \d{{2,4}}"
    rf"|{_MONTH.replace('month', 'first_month')} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{2,4}})(?![\w/-]|\.\d)",
    re.IGNORECASE,
)
_FORMS = {
    "YYYY-MM-DD": re.compile(r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})"),
    "DD/MM/YYYY": re.compile(r"(?P<d>\d{2})/(?P<m>\d{2})/(?P<y>\d{4})"),
    "MM/DD/YYYY": re.compile(r"(?P<m>\d{2})/(?P<d>\d{2})/(?P<y>\d{4})"),
    "DD.MM.YYYY": re.compile(r"(?P<d>\d{2})\.(?P<m>\d{2})\.(?P<y>\d{4})"),
    "D Month YYYY": re.compile(rf"(?P<d>[1-9]\d?) (?P<m>{'|'.join(_MONTHS)}) (?P<y>\d{{4}})"),
    "Month D, YYYY": re.compile(rf"(?P<m>{'|'.join(_MONTHS)}) (?P<d>[1-9]\d?), (?P<y>\d{{4}})"),
}
_SAMPLE = {
    "YYYY-MM-DD": "2031-05-09",
    "DD/MM/YYYY": "09/05/2031",
    "MM/DD/YYYY": "05/09/2031",
    "DD.MM.YYYY": "09.05.2031",
    "D Month YYYY": "9 May 2031",
    "Month D, YYYY": "May 9, 2031",
}


def _is_date(text: str, form: str) -> bool:
    """Whether a text is a date of the calendar, written in the form."""
    found = _FORMS[form].fullmatch(text)
    if not found:
        return False
    month = int(found["m"]) if found["m"].isdigit() else _MONTHS.index(found["m"]) + 1
    try:
        datetime.date(int(found["y"]), month, int(found["d"]))
    except ValueError:
        return False
    return True


def _verify_dates(params: Params, reply: str) -> Verdict:
    form = params["date_format"]
    good: Spans = []
    bad: Spans = []
    for found in _DATES.finditer(reply):
        (good if _is_date(found.group(), form) else bad).append(found.span())
    return _all_in_form(good, bad, params["num_dates"], f"dates written {form}", "dates of another form or no calendar")


_TIMES = re.compile(
    r"(?<![\w:.])\d{1,2}(?::\d{2}(?::\d{2})?(?![:\d]))?(?P<half>\s?[ap](?:m\b|\.m\.))|(?<![\w:.])\d{1,2}:\d{2}(?::\d{2})?(?![:\d])",
    re.IGNORECASE,
)
_24_HOURS = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?")


def _verify_times(params: Params, reply: str) -> Verdict:
    good: Spans = []
    bad: Spans = []
    for found in _TIMES.finditer(reply):
        (good if _24_HOURS.fullmatch(found.group()) else bad).append(found.span())
    return _all_in_form(good, bad, params["num_times"], "times from 00:00 to 23:59", "times in another form")


_ABOUT_DATES = r"\b(?:history|biograph|timeline|calendar|schedule|events?|plan|trip|diary|when)\b"
_ABOUT_TIMES = r"\b(?:schedule|timetable|itinerary|routine|agenda|day|trip|programme|hours)\b"

# ---------------------------------------------------------------- money and units

_SIGNS = ("$", "€", "£", "¥")
_NUMBER = r"\d{1,15}(?:[.,]\d{1,15}){0,6}"
_MONEY = re.compile(
    rf"(?P<before>[$€£¥₹₩₽₺₫₴₪฿¢])\s?{_NUMBER}|(?<![\w.,]){_NUMBER}\s?"
    r"(?P<after>[$€£¥₹₩₽₺₫₴₪฿¢]|(?:USD|EUR|GBP|JPY|CHF|INR|CNY|CAD|AUD|dollars?|euros?|pounds sterling|yen"
    r"|rupees?|francs?|cents?|bucks)\b)|\b(?P<code>USD|EUR|GBP|JPY|CHF|INR|CNY|CAD|AUD)\s?\d{1,15}",
    re.IGNORECASE,
)


def _verify_currency(params: Params, reply: str) -> Verdict:
    sign = params["sign"]
    good: Spans = []
    bad: Spans = []
    for found in _MONEY.finditer(reply):
        marked = found["before"] or found["after"] or found["code"]
        (good if marked == sign else bad).append(found.span())
    return _all_in_form(good, bad, 1, f"amounts with {sign}", f"amounts without {sign}")


_METRIC = (
    "km/h|km|cm|mm|m²|m2|m³|m|kg|mg|g|ml|cl|dl|l|°C|kilomet(?:er|re)s?|centimet(?:er|re)s?|millimet(?:er|re)s?"
    "|met(?:er|re)s?|kilograms?|kilos?|milligrams?|grams?|millilit(?:er|re)s?|lit(?:er|re)s?|hectares?|tonnes?"
    "|degrees Celsius|Celsius"
)
_IMPERIAL = (
    "miles?|mi|mph|yards?|yd|feet|foot|ft|inch(?:es)?|in(?=[.,;)])|pounds?|lbs?|ounces?|oz|stones?|gallons?|gal|quarts?"
    "|pints?|cups?|acres?|°F|degrees Fahrenheit|Fahrenheit"
)
_SYSTEMS = ("metric", "imperial")


@lru_cache(maxsize=2)
def _units(system: str) -> re.Pattern[str]:
    """Numbers with a unit of the system; compiled when first needed, being long."""
    units, flags = (_METRIC, 0) if system == "metric" else (_IMPERIAL, re.IGNORECASE)
    return re.compile(rf"(?<![\w.,]){_NUMBER}(?:[\s-]|\s?½\s?)?(?:{units})(?![\w²³/])", flags)


def _verify_units(params: Params, reply: str) -> Verdict:
    system = params["system"]
    other = _SYSTEMS[1 - _SYSTEMS.index(system)]
    good = [found.span() for found in _units(system).finditer(reply)]
    bad = [found.span() for found in _units(other).finditer(reply)]
    return _all_in_form(good, bad, 1, f"measures in {system} units", f"measures in {other} units")


_ABOUT_COST = r"\b(?:cost|price|budget|pay|spend|salary|buy|sell|money|shop)"
_ABOUT_SIZE = r"\b(?:recipe|cook|bake|size|distance|height|weigh|build|garden|run|measure|travel)"

# ---------------------------------------------------------------- numbers

_LIST_MARK = re.compile(r"^[^\S\n]*\d{1,9}[.)](?=[^\S\n])", re.MULTILINE)
_PLAIN_NUMBER = re.compile(r"(?<![\w.,])\d{1,15}(?:,\d{3}){0,4}(?:\.(?P<decimals>\d{1,15}))?(?![\w]|[.,]\d)")


def _verify_decimals(params: Params, reply: str) -> Verdict:
    places = params["places"]
    marks = {found.end() - 1 for found in _LIST_MARK.finditer(reply)}
    good: Spans = []
    bad: Spans = []
    for found in _PLAIN_NUMBER.finditer(reply):
        if found.end() in marks:
            continue
        (good if len(found["decimals"] or "") == places else bad).append(found.span())
    thing = f"numbers with {places} digits after the point"
    return _all_in_form(good, bad, 1, thing, "numbers with more or fewer")


_SHARES = re.compile(r"(?<![\w.,])(\d{1,9}(?:\.\d{1,9})?)\s?(?:%|percent\b|per cent\b)", re.IGNORECASE)


def _verify_shares(params: Params, reply: str) -> Verdict:
    wanted = params["num_shares"]
    found = list(_SHARES.finditer(reply))
    total = sum((Decimal(one.group(1)) for one in found), Decimal(0))
    spans = first_spans(one.span() for one in found)
    said = f"{len(found)} percentages that add up to {total.normalize():f}, wanted {wanted} that add up to 100"
    if len(found) == wanted and total == 100:
        return passed(said, spans)
    near = float(min(total, Decimal(100)) / max(total, Decimal(100)))
    score = 0.5 * min(len(found), wanted) / max(len(found), wanted) + 0.45 * near
    return failed(said, score, spans, len(found) - wanted)


_SEPARATORS = {"comma": ",", "point": ".", "space": " ", "apostrophe": "'"}
_GROUPED = {
    "comma": r"\d{1,3}(?:,\d{3})+(?![\d])",
    "point": r"\d{1,3}(?:\.\d{3}){2,}(?!\d)",
    "space": r"\d{1,3}(?:[ \u00a0\u202f]\d{3}){2,}(?!\d)",
    "apostrophe": r"\d{1,3}(?:['’]\d{3})+(?!\d)",
}
_OWN_GROUPED = {
    **_GROUPED,
    "point": r"\d{1,3}(?:\.\d{3})+(?!\d)",
    "space": r"\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)",
}
_BARE = re.compile(r"(?<![\w.,'’])\d{5,}(?!\w)")
_BEFORE = r"(?<![\w.,'’])"


def _verify_thousands(params: Params, reply: str) -> Verdict:
    name = params["separator"]
    good = [found.span() for found in re.finditer(_BEFORE + _OWN_GROUPED[name], reply)]
    taken = set(good)
    bad = [found.span() for found in _BARE.finditer(reply)]
    for other, pattern in _GROUPED.items():
        if other != name:
            bad += [found.span() for found in re.finditer(_BEFORE + pattern, reply) if found.span() not in taken]
    if not good and not bad:
        return passed("no number of five digits or more", vacuous=True)
    thing = f"large numbers grouped by a {name}"
    return _all_in_form(good, bad, 1, thing, "large numbers grouped otherwise or not at all")


def _repair_thousands(params: Params, reply: str) -> str | None:
    mark = _SEPARATORS[params["separator"]]

    def grouped(found: re.Match[str]) -> str:
        digits = found.group()
        first = len(digits) % 3 or 3
        return mark.join([digits[:first], *(digits[at : at + 3] for at in range(first, len(digits), 3))])

    return _BARE.sub(grouped, reply)


def _separator_words(params: Params) -> dict[str, str]:
    mark = _SEPARATORS[params["separator"]]
    return {"name": params["separator"], "sample": f"25{mark}000"}


def _drawn_where(pattern: str, params: dict[str, object], drawing: Drawing) -> dict[str, object] | None:
    return params if re.search(pattern, drawing.instruction, re.IGNORECASE) else None


def _draw_dates(rng: random.Random, drawing: Drawing) -> dict[str, object] | None:
    params: dict[str, object] = {"date_format": rng.choice(tuple(_FORMS)), "num_dates": rng.randint(1, 3)}
    return _drawn_where(_ABOUT_DATES, params, drawing)


TYPES: tuple[ConstraintType, ...] = (
    ConstraintType(
        id="values:dates",
        family="values",
        parameters={"date_format": str, "num_dates": int},
        allowed={"date_format": tuple(_FORMS), "num_dates": _COUNTS},
        phrasings=say.DATES,
        heldout_phrasings=say.DATES_HELDOUT,
        verify=_verify_dates,
        draw=_draw_dates,
        words=lambda params: {
            **counted_as(params, "num_dates"),
            "form": params["date_format"],
            "sample": _SAMPLE[params["date_format"]],
        },
        excludes=frozenset({"lipogram:no_digits"}),
        examples=(
            Example(
                {"date_format": "YYYY-MM-DD", "num_dates": 2},
                "It opens on 2028-02-29 and closes on 2028-10-01.",
                (
                    "It opens on 2027-02-29 and closes on 2027-10-01.",
                    "It opens on 2028-02-29 and closes on 1 October 2028.",
                    "It opens on 2028-02-29.",
                    "It opens on 2028-2-29 and closes on 2028-10-1.",
                ),
            ),
            Example(
                {"date_format": "Month D, YYYY", "num_dates": 1},
                "It opens on February 9, 2028.",
                ("It opens on Feb 9, 2028.", "It opens on 9 February 2028.", "It opens on February 30, 2028."),
            ),
        ),
    ),
    ConstraintType(
        id="values:times",
        family="values",
        parameters={"num_times": int},
        allowed={"num_times": _COUNTS},
        phrasings=say.TIMES,
        heldout_phrasings=say.TIMES_HELDOUT,
        verify=_verify_times,
        draw=lambda rng, drawing: _drawn_where(_ABOUT_TIMES, {"num_times": rng.randint(1, 4)}, drawing),
        words=lambda params: counted_as(params, "num_times"),
        excludes=frozenset({"lipogram:no_digits"}),
        examples=(
            Example(
                {"num_times": 2},
                "We leave at 08:15 and are back at 21:40.",
                (
                    "We leave at 8:15 and are back at 21:40.",
                    "We leave at 08:15 and are back at 9:40 p.m.",
                    "We leave at 08:15.",
                    "We leave at 08:15 and are back at 25:40.",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="values:currency",
        family="values",
        parameters={"sign": str},
        allowed={"sign": _SIGNS},
        phrasings=say.CURRENCY,
        heldout_phrasings=say.CURRENCY_HELDOUT,
        verify=_verify_currency,
        draw=lambda rng, drawing: _drawn_where(_ABOUT_COST, {"sign": rng.choice(_SIGNS)}, drawing),
        words=lambda params: {"sign": params["sign"]},
        demands=lambda params: (params["sign"],),
        excludes=frozenset({"lipogram:no_digits"}),
        examples=(
            Example(
                {"sign": "€"},
                "The lamp is €25 and the cable 4.50 €.",
                ("The lamp is €25 and the cable $5.", "The lamp is 25 euros.", "The lamp is EUR 25.", "It is cheap."),
            ),
        ),
    ),
    ConstraintType(
        id="values:units",
        family="values",
        parameters={"system": str},
        allowed={"system": _SYSTEMS},
        phrasings=say.UNITS,
        heldout_phrasings=say.UNITS_HELDOUT,
        verify=_verify_units,
        draw=lambda rng, drawing: _drawn_where(
            _ABOUT_SIZE, {"system": rng.choice((*_SYSTEMS[:1], *_SYSTEMS))}, drawing
        ),
        words=lambda params: {
            "system": params["system"],
            "samples": "metres and kilograms" if params["system"] == "metric" else "feet and pounds",
        },
        excludes=frozenset({"lipogram:no_digits"}),
        examples=(
            Example(
                {"system": "metric"},
                "The board is 2 m long and weighs 3.5 kg.",
                ("The board is 6 feet long.", "It is 2 m (6 ft) long.", "The board is long.", "It weighs 8 pounds."),
            ),
            Example({"system": "imperial"}, "It is 6 feet long.", ("It is 2 m long.", "It is 6 feet or 183 cm long.")),
        ),
    ),
    ConstraintType(
        id="values:decimals",
        family="values",
        parameters={"places": int},
        allowed={"places": range(0, 7)},
        phrasings=say.DECIMALS,
        heldout_phrasings=say.DECIMALS_HELDOUT,
        verify=_verify_decimals,
        draw=lambda rng, drawing: _drawn_where(values_answers.ABOUT_SUMS, {"places": rng.randint(0, 3)}, drawing),
        words=lambda params: {
            **counted(params["places"]),
            "sample": f"{7:.{params['places']}f}",
            "digits": "digit" if params["places"] == 1 else "digits",
        },
        excludes=frozenset({"lipogram:no_digits"}),
        examples=(
            Example(
                {"places": 2},
                "1. The mean is 3.50.\n2. The sum is 1,250.00.",
                ("The mean is 3.5.", "The mean is 3.50, the sum 14.", "The mean is 3.505.", "No number here."),
            ),
        ),
    ),
    ConstraintType(
        id="values:shares",
        family="values",
        parameters={"num_shares": int},
        allowed={"num_shares": range(2, 101)},
        phrasings=say.SHARES,
        heldout_phrasings=say.SHARES_HELDOUT,
        verify=_verify_shares,
        draw=lambda rng, drawing: _drawn_where(
            r"\b(?:budget|split|divide|share|allocate|percent|survey)",
            {"num_shares": rng.randint(2, 5)},
            drawing,
        ),
        words=lambda params: counted_as(params, "num_shares"),
        excludes=frozenset({"lipogram:no_digits"}),
        examples=(
            Example(
                {"num_shares": 3},
                "Rent takes 50%, food 30.5 percent, the rest 19.5 %.",
                ("Rent takes 50%, food 30%, the rest 19%.", "Rent takes 60%, the rest 40%.", "Rent takes half."),
            ),
        ),
    ),
    ConstraintType(
        id="values:thousands",
        family="values",
        parameters={"separator": str},
        allowed={"separator": tuple(_SEPARATORS)},
        phrasings=say.THOUSANDS,
        heldout_phrasings=say.THOUSANDS_HELDOUT,
        verify=_verify_thousands,
        draw=lambda rng, drawing: {"separator": rng.choice(tuple(_SEPARATORS))},
        repair=_repair_thousands,
        rank=9,
        words=_separator_words,
        examples=(
            Example(
                {"separator": "comma"},
                "In 1999 it had 25,000 readers, later 1,250,000.",
                ("It had 25000 readers.", "It had 1.250.000 readers.", "It had 25,000 readers, later 1250000."),
            ),
            Example({"separator": "space"}, "It had 25 000 readers.", ("It had 25,000 readers.", "It had 25000.")),
        ),
    ),
    *values_answers.TYPES,
    *patterns.TYPES,
)
