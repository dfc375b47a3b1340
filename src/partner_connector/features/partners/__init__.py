"""Partners: businesses that share assets with ours, as Meta lists them."""
