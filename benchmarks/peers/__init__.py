"""What a user would pick instead of this project, one file per peer: photos in, Parquet of uri and embedding out."""
