"""Write the HTML page about a run."""
