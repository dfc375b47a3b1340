"""Key rotation while workers that re-seal tokens are killed repeatedly."""
