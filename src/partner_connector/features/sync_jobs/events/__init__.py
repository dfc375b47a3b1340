"""Progress events of a sync job, by page or as a stream."""
