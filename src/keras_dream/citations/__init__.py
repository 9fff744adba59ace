"""Citations: the papers and repositories behind what a recipe uses."""
