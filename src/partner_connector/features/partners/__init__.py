"""Partners: businesses that share assets with our own business, as Meta lists them."""
