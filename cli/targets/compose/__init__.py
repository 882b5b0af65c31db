"""Run the job in the local stack of docker-compose.yml."""
