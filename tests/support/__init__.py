"""What several test groups share."""
