"""Events of a sync job, in pages or as a stream."""
