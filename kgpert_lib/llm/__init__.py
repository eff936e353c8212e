"""Language models: prompts, one client, one record of answers, one parser, a local server."""
