"""Webhooks: proof, adapters and the route."""
