"""Methods of the arrow `evaluate`."""
