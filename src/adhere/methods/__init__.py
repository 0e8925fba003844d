"""Published methods, one readable file each."""
