"""The gene explorer: what is predicted for each gene, as files that a page reads without a server."""
