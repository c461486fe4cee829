"""Sync room: a QuPath project and the store hold the same annotations afterwards, and nothing is lost on the way.

What flows in: a project's folder, a store, what a person wants. What flows out: the same annotations on both sides, as
new revisions there and as objects in the project's data files here, and a report. It must never know of messages,
models or sessions; QuPath's classes it knows in `runner` only.

`plan` decides (pure); `project` reads and writes the project's files, through the program in `runner`; `record` is what
both sides held when they were last synced; `syncing` brings these together.

Nothing is re-exported here: the program in `runner` is a process of its own, which would import it all.
"""
