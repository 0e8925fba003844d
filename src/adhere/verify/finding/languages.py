"""Names of languages as instructions use them, with the codes of `adhere.verify.languages`."""

from __future__ import annotations

_NAMED = {
    "af": "afrikaans", "ar": "arabic", "bg": "bulgarian", "bn": "bengali|bangla", "ca": "catalan", "cs": "czech",
    "cy": "welsh", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish|castilian",
    "et": "estonian", "fa": "persian|farsi", "fi": "finnish", "fr": "french", "gu": "gujarati", "he": "hebrew",
    "hi": "hindi", "hr": "croatian", "hu": "hungarian", "id": "indonesian|bahasa indonesia", "it": "italian",
    "ja": "japanese", "kn": "kannada", "ko": "korean", "lt": "lithuanian", "lv": "latvian", "mk": "macedonian",
    "ml": "malayalam", "mr": "marathi", "ne": "nepali|nepalese", "nl": "dutch", "no": "norwegian",
    "pa": "punjabi|panjabi|gurmukhi", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "sk": "slovak", "sl": "slovenian|slovene", "so": "somali", "sq": "albanian", "sv": "swedish",
    "sw": "swahili|kiswahili", "ta": "tamil", "te": "telugu", "th": "thai", "tl": "tagalog|filipino",
    "tr": "turkish", "uk": "ukrainian", "ur": "urdu", "vi": "vietnamese",
    "zh-cn": "chinese|mandarin|simplified chinese|mandarin chinese", "zh-tw": "traditional chinese",
}  # fmt: skip

CODES: dict[str, str] = {name: code for code, names in _NAMED.items() for name in names.split("|")}
"""Codes by lower-case name."""
