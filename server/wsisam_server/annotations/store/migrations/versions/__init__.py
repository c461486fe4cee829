"""One module for each change of form, in the order of their numbers."""
