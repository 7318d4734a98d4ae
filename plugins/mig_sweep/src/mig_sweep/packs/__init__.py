"""Questions worth having ready, a file each. ``mig_sweep.pack`` reads them."""
