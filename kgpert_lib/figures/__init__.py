"""One function per figure, named after what it shows; they take scores and never load data."""
