"""Accuracy on labelled images: the images, the answers of files and networks, and how sure a difference
is."""
