"""A double of WsiSamSync in QuPath: the same part of a client, with the same record, on projects of `double`.

Groovy and Java themselves are tried in `in_qupath`. This one is soon done, so that histories of many syncs can be.
"""

import uuid
from pathlib import Path

import shapely

from annotations.sync import double
from annotations.sync.fake_qupath import KEPT_RECORD
from wsisam_server.annotations.store import SlideRecord
from wsisam_server.annotations.sync.client_image import ClientImage, SyncOptions, merge
from wsisam_server.annotations.sync.common_record import Common, CommonRecord
from wsisam_server.annotations.sync.in_common import arrived, held
from wsisam_server.annotations.sync.plan import Base, Resolution, Side, Verb
from wsisam_server.annotations.sync.project import Project
from wsisam_server.annotations.sync.record import Records
from wsisam_server.annotations.sync.steps import NoListener
from wsisam_server.annotations.sync.store_side import StoreSide


class Script:
    """Syncs images of a world's project as they are on the disk.

    Args:
        world: whose tools are the double's.
    """

    def __init__(self, world):
        self._world = world
        self._records = Records(world.folder).common

    def sync(self, image="1", *, saved=True, cut_off="", **options):
        """One image.

        Args:
            image: its number.
            saved: the image is saved afterwards; else its QuPath ends before.
            cut_off: "before" or "after" the store's part is done: QuPath ends then.

        Returns:
            The verbs of what was done, or waits.
        """
        project = Project(self._world.project, self._world.tools.process(), NoListener())
        (found,) = [one for one in project.images() if one.id == image]
        contents, slide_id = project.read(found), self._world.slide_id(image)
        known = self._records.read(image, contents.generation)
        record = known if known is not None and known.slide_id == slide_id else CommonRecord(slide_id)
        text, owner = contents.kept_record
        if owner == f"{image}\n{slide_id}":
            record.with_property(text)
        store = self._world.store
        common = record.stores.get(store.identity, Common())
        older = common.data is not None and contents.data.modified < common.data.modified
        common = Common() if older else common
        common.annotations |= arrived(common.sent, StoreSide(store, "", "", NoListener()).revision_of)
        bases, doubtful = held(common, contents.drawings)
        side = options.get("resolution", Resolution()).default
        if side is Side.STORE:
            bases = {one: base for one, base in bases.items() if one not in doubtful}
        doubtful = set() if side is not None else doubtful
        marked = not options.get("dry_run") and self._mark(image, contents.drawings, bases, doubtful, record)
        if cut_off == "before":
            return {}
        size = SlideRecord(slide_id, found.uris, found.size)
        author = SyncOptions("qupath:script", "Colon", **options)
        put, remove, verbs = {}, [], {}
        for part in merge(store, self._image(size, contents, bases, doubtful), author):
            put |= {one: drawing for one, (drawing, _) in part.put.items()}
            remove += part.remove
            verbs |= {action.id: action.verb for action in part.actions}
            for one in part.forgotten:
                bases.pop(one, None)
            bases |= {one: Base(revision, "") for one, revision in part.synced.items()}
        if cut_off:
            return verbs
        if marked and not put and not remove:
            here = contents.drawings
            bases = {
                one: base if base.digest else Base(base.revision, here[one].digest)
                for one, base in bases.items()
                if base.digest or one in here
            }
            self._keep(image, self._name, bases, doubtful, record)
        else:
            self._apply(image, put, remove, bases, doubtful, record, saved=saved)
        return verbs | dict.fromkeys(doubtful, Verb.CONFLICT)

    def conflicts(self, image="1"):
        """Those that another sync would find."""
        return {one for one, verb in self.sync(image, saved=False, dry_run=True).items() if verb is Verb.CONFLICT}

    def _mark(self, image, drawings, bases, doubtful, record):
        news = {
            one: said.digest for one, said in drawings.items() if one not in bases or bases[one].digest != said.digest
        }
        if not news:
            return False
        path = Path(self._world.folder) / "data" / image / "data.qpdata"
        said = double.read_data(path)
        self._name = said["properties"]["wsisam.sync"] = uuid.uuid4().hex
        for name in KEPT_RECORD:
            said["properties"].pop(name, None)
        self._keep(image, self._name, bases, doubtful, record, sent=news)
        double.write_data(path, said)
        return True

    def _keep(self, image, name, bases, doubtful, record, sent=()):
        store = self._world.store.identity
        known = record.stores.get(store, Common()).doubtful
        common = Common(dict(bases), sent=dict(sent), doubtful={one: known.get(one) for one in doubtful})
        self._records.write(image, name, record.with_store(store, common))

    def _image(self, slide, contents, bases, doubtful):
        here = contents.drawings
        same = {one for one in here if one in bases and bases[one].digest == here[one].digest}
        unusable = frozenset(map(uuid.UUID, contents.unusable))
        return ClientImage(
            slide,
            changed={one: bases[one].revision if one in bases else 0 for one in here.keys() - same},
            drawings=lambda: [{one: here[one]} for one in here.keys() - same],
            unchanged={one: bases[one].revision for one in same},
            missing={one: bases[one].revision for one in bases.keys() - here.keys() - unusable - doubtful},
            excluded=unusable | doubtful,
            store_id=self._world.store.identity,
        )

    def _apply(self, image, put, remove, bases, doubtful, record, *, saved):
        if not put and not remove and bases == record.stores.get(self._world.store.identity, Common()).annotations:
            return
        path = Path(self._world.folder) / "data" / image / "data.qpdata"
        before = path.read_bytes()
        said = double.read_data(path)
        double.remove(said, [str(one) for one in remove])
        by_id = {item["id"]: item for item in said["objects"]}
        for one, drawing in put.items():
            if str(one) not in by_id:
                said["objects"].append(double.new_object(id=str(one)))
                by_id[str(one)] = said["objects"][-1]
            by_id[str(one)] |= {
                "shape": shapely.to_wkb(drawing.shape, hex=True),
                "name": drawing.name or None,
                "class": None if drawing.path_class is None else drawing.path_class.name,
                "rgb": None if drawing.path_class is None else drawing.path_class.rgb,
                "locked": drawing.locked,
            }
        generation = uuid.uuid4().hex
        said["properties"]["wsisam.sync"] = generation
        for name in KEPT_RECORD:
            said["properties"].pop(name, None)
        double.write_data(path, said)
        project = Project(self._world.project, self._world.tools.process(), NoListener())
        shown = project.read(project.images()[int(image) - 1]).drawings
        bases = {
            one: Base(base.revision, base.digest or shown[one].digest)
            for one, base in bases.items()
            if one in shown or base.digest
        }
        if not saved:
            path.write_bytes(before)
        self._keep(image, generation, bases, doubtful, record)
