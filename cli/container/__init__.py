"""Build, check and push the image of the job."""
