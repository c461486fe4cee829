"""Values and rules that every folder may use: geometry, shapes, errors, settings, TLS, files. Knows no other folder."""
