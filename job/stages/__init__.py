"""Run the stages of the pipeline, from a listing to a published run."""
