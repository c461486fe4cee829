"""A lab's calls: servicers, interceptors, sessions, users and their rights, metrics and tracing."""
