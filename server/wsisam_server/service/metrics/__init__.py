"""Metrics room: numbers about the running server, for Prometheus.

In: what other rooms report of each prompt and call, and their counters at each scrape. Out: a page of text on a port
of its own. `wsisam top` scrapes it with `scrape`. Labels are users, methods, models and stages. It must never see a
slide's path, an id or an annotation. Other folders do not depend on metrics.

Nothing is imported here, so that `wsisam top` does not import what fills the page.
"""
