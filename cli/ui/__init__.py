"""Talk to the user: text, JSON, progress, summaries, choices."""
