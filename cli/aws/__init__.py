"""Call AWS: sessions, clients, retries, errors."""
