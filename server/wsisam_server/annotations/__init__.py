"""Annotations: the store with its history, the sync with QuPath's projects, and file formats. Never segmentation."""
