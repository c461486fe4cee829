"""Messages of the contract to values and back, once, for the service and for the client. No logic, no I/O."""
