"""The drill, held."""
