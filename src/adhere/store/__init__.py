"""Run folders, journals, fingerprints and sealed files."""
