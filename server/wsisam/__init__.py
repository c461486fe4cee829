"""The wire contract, generated from protos/ by `make protos`. Nothing here is edited by hand."""
