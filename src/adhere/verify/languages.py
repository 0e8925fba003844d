"""Which language a text is in, by langdetect with its seed fixed, so that verdicts do not change between runs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

SEED = 0
_LONGEST = 100_000  # characters handed over; langdetect itself reads the first 10,000 that are left after its cleaning

LANGUAGE_NAMES = {
    "ar": "Arabic",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "gu": "Gujarati",
    "hi": "Hindi",
    "it": "Italian",
    "ja": "Japanese",
    "kn": "Kannada",
    "ko": "Korean",
    "mr": "Marathi",
    "ne": "Nepali",
    "pa": "Punjabi",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
}


@lru_cache(maxsize=1)
def _factory() -> Any:
    """Language profiles, read in name order: the order of a folder listing differs between machines."""
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    factory = DetectorFactory()
    profiles = sorted(path for path in Path(PROFILES_DIRECTORY).iterdir() if not path.name.startswith("."))
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in profiles])
    factory.set_seed(SEED)
    return factory


@lru_cache(maxsize=1)
def known_languages() -> frozenset[str]:
    """The codes that `language_of` can answer."""
    return frozenset(_factory().get_lang_list())


@lru_cache(maxsize=4096)
def language_of(text: str) -> str | None:
    """The most likely language as a two-letter code (`zh-cn`, `zh-tw` for Chinese), None when no letters tell one.

    langdetect 1.0.9, first label only, as IFEval takes it. langdetect samples; here its seed is always 0.
    """
    from langdetect.lang_detect_exception import LangDetectException

    detector = _factory().create()
    detector.append(text[:_LONGEST])
    try:
        return str(detector.detect())
    except LangDetectException:
        return None
