"""Local engines, endpoints and the scripted model; chat templates, scoring and budget."""
