"""What is put behind a backbone's maps: a head is one file."""
