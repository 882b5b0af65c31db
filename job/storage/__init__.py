"""How OUTPUT is stored."""
