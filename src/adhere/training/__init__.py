"""One loop, losses, adapters, packing, checkpoints and export."""
