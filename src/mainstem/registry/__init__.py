"""The schema registry: what it keeps and by which rules, the service that keeps it, and its HTTP API."""
