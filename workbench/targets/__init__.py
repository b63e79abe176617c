"""Where a model runs: in a live stub of ours, in a server we start, on a server elsewhere."""
