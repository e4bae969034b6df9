"""What files answer on labelled images: the images, the answers, and how sure a difference is."""
