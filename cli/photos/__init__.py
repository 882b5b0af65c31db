"""Draw, download, clean and upload photos, and download weights."""
