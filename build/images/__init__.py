"""Images: the bases they stand on, what they are built from, building, exporting, pushing them."""
