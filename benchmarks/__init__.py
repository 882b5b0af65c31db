"""`python -m benchmarks`: the notebook that people copy today and this project, side by side on the same images in one run."""
