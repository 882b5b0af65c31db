"""How the job grows: what was measured, what was simulated and what follows from both, each marked as what it is."""
