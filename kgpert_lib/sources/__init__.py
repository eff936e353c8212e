"""Where atlases come from, one file a source."""
