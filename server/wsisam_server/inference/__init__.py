"""Running models: engines, their queues, embeddings, replicas on other machines, and the weights to load."""
