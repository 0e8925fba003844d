"""Methods of the arrow `act`."""
