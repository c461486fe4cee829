"""From a prompt to an outline: fields, models' answers, refinement, outlines and proposals. Never annotations."""
