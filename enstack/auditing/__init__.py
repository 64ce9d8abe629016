"""What is in the data, before any training: counted, compared, shown."""
