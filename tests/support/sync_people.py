"""Three people with a project each on the same slides, and a model of what each of them did: who, what, where.

The model says at any time what may be gone, what must not come back, and where each object lies. Everything happens one
after another, so it knows what a sync that was killed had brought to the store.
"""

import shutil
import uuid
from dataclasses import dataclass, field

import shapely

SIDE = 400
"""Of a slide, in pixels."""


@dataclass
class Drawn:
    """An object as the model knows it.

    Attributes:
        slide: the number of its slide; it lies nowhere else, ever.
        name: what it was named last.
        deleted: by whom, once it must not come back.
        disputed: two changed it without knowing of each other, or one deleted what another still had to tell of.
    """

    slide: str
    name: str
    deleted: str = ""
    disputed: bool = False


@dataclass
class Project:
    """A project's folder, and what its syncs are known to have told of.

    Attributes:
        known: objects that it and the store had in common.
        unsaid: objects that were changed in it since.
        conflicts: that its last sync named.
    """

    person: str
    folder: object
    known: set = field(default_factory=set)
    unsaid: set = field(default_factory=set)
    conflicts: set = field(default_factory=set)

    @property
    def file(self):
        return self.folder / "project.qpproj"


class Wrong(AssertionError):  # noqa: N818 - what it says is what is wrong
    """A history that lost something, brought something back, or put it on another slide."""


class People:
    """What they do, and what must be so afterwards.

    Args:
        editor: of projects, see `annotations.sync.worlds`.
        stored: called: what the store has, {id: (name, slide's number, deleted)}.
    """

    def __init__(self, editor, stored):
        self._editor = editor
        self._stored = stored
        self.drawn = {}
        self.projects = []

    def shown(self, project):
        """What a project holds, {id: (name, slide's number)}."""
        found = {}
        for slide in ("1", "2", "3"):
            for item in self._editor.dump(str(project.file), slide)["objects"]:
                if item["kind"] in ("annotation", "PathAnnotationObject"):
                    found[uuid.UUID(item["id"])] = (item["name"] or "", slide)
        return found

    def draw(self, project, slide, x, y, name):
        shape = shapely.box(x, y, x + 20, y + 10)
        said = {"shape": shapely.to_wkb(shape, hex=True), "name": name}
        one = uuid.UUID(self._editor.draw(str(project.file), slide, said))
        self.drawn[one] = Drawn(slide, name)
        return one

    def rename(self, project, one, name):
        drawn = self.drawn[one]
        self._editor.edit(str(project.file), drawn.slide, str(one), {"name": name})
        if self._unheard(project, one):
            drawn.disputed = True
        drawn.name = name
        project.unsaid.add(one)

    def delete(self, project, one):
        drawn = self.drawn[one]
        self._editor.delete(str(project.file), drawn.slide, [str(one)])
        if self._unheard(project, one):
            drawn.disputed = True
        if one in project.known or not self._elsewhere(project, one):
            drawn.deleted = drawn.deleted or project.person
        project.unsaid.add(one)

    def copy(self, project, folder, person):
        """Another person goes on with a copy."""
        shutil.copytree(project.folder, folder)
        copied = Project(person, folder, set(project.known), set(project.unsaid))
        # What the store does not know yet, two have now: whatever one does to it, the other knows nothing of.
        self.projects.append(copied)
        return copied

    def synced(self, project, before, slides, *, whole):
        """Notes what a sync has told of.

        Args:
            project: that was synced.
            before: ids that the store had before.
            slides: those that were at their place.
            whole: it was not cut off, and had no complaint.
        """
        shown, stored = self.shown(project), self._stored()
        alive = {one for one, (_, _, deleted) in stored.items() if not deleted}
        project.known |= {one for one in alive - before if one in shown}
        if whole:
            here = {one for one, drawn in self.drawn.items() if drawn.slide in slides} - project.conflicts
            project.known |= here & alive & shown.keys()
            project.unsaid -= here

    def verify(self, *, settled):
        """Raises `Wrong` unless all is as it must be.

        Args:
            settled: all projects were synced until nothing was new; else only what must always be so is looked at.
        """
        stored = self._stored()
        shown = [(project, self.shown(project)) for project in self.projects]
        for one, drawn in self.drawn.items():
            places = {"the store": stored[one]} if one in stored else {}
            places |= {str(project.folder.name): (*has[one], False) for project, has in shown if one in has}
            for place, (_, slide, _) in places.items():
                if slide != drawn.slide:
                    raise Wrong(f"{drawn.name} ({one}) of slide {drawn.slide} lies on {slide} in {place}")
            alive = [place for place, (_, _, deleted) in places.items() if not deleted]
            if not drawn.deleted and not drawn.disputed and not alive:
                raise Wrong(f"{drawn.name} ({one}) is gone, and nobody deleted it")
            if settled:
                self._verify_settled(one, drawn, stored, shown, alive)

    def _verify_settled(self, one, drawn, stored, shown, alive):
        if drawn.disputed:
            return
        disputing = {project.folder.name for project in self.projects if one in project.conflicts}
        if drawn.deleted:
            if set(alive) - disputing - ({"the store"} if disputing else set()):
                raise Wrong(f"{drawn.name} ({one}) was deleted by {drawn.deleted} and is in {', '.join(alive)}")
            return
        missing = [project.folder.name for project, has in shown if one not in has]
        missing += [] if "the store" in alive else ["the store"]
        if set(missing) - disputing:
            raise Wrong(f"{drawn.name} ({one}) was deleted by nobody and is not in {', '.join(missing)}")
        if not disputing and stored[one][0] != drawn.name:
            raise Wrong(f"{drawn.name} ({one}) is called {stored[one][0]} in the store")

    def _others(self, project):
        return [other for other in self.projects if other is not project]

    def _unheard(self, project, one):
        """Whether somebody else did something to it that this person cannot have heard of, or the other way round."""
        new = one not in project.known
        return any(one in other.unsaid or (new and self._has(other, one)) for other in self._others(project)) or bool(
            self.drawn[one].deleted
        )

    def _elsewhere(self, project, one):
        return one in self._stored() or any(self._has(other, one) for other in self._others(project))

    def _has(self, project, one):
        return one in self.shown(project)
