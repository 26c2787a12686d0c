"""Problem sets under nbgrader."""
