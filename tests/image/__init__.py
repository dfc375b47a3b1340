"""What the product survives, as real processes: campaigns of blows, and a lean sample of each."""
