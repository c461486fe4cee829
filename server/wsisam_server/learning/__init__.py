"""Models and drawn objects: datasets, their export, training, evaluation, and stored prompts asked again."""
