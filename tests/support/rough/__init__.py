"""The parts of the rough tree: what each folder of it has, as path → content."""
