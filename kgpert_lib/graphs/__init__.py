"""Knowledge graphs, one file a source."""
