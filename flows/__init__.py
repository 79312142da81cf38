"""The flows: what runs, in which order, with which parameters."""
