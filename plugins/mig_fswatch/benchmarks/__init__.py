"""Speed of ``fswatch``, beside named peers."""
