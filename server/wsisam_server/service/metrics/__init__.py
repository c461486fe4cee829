"""Metrics room: numbers about the running server, for Prometheus.

What flows in: what other rooms report of each prompt and call, and, when somebody looks, their counters. What flows
out: a page of text on a port of its own, which is also read here, for `wsisam top`. It names users by their tokens,
methods, models and stages; it must never see a slide's path, an id or an annotation, nor be known to the folders that
it looks at.

Nothing is imported here: `wsisam top` reads a page without what fills it.
"""
