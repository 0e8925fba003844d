"""The nine nouns, settings and errors. Imports nothing of ours."""
