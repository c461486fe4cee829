"""Version 1 of the contract (package wsisam.v1)."""
