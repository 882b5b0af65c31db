"""List INPUT and fetch its photos."""
