"""How long what was found out about a text is kept, so that the checks of one reply share it."""

SHARED = 16
"""Texts remembered: a reply and its loose variants, twice. More would hold the longest replies of a file in memory."""
