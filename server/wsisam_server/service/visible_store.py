"""The annotation store as the user of the running call sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsisam_server.annotations.store import Scope
from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.identity import current_user

if TYPE_CHECKING:
    from wsisam_server.annotations.store import AsyncStore


def visible_store(store: AsyncStore | None) -> AsyncStore:
    """What of a store the caller may see and change.

    Args:
        store: all of it; None when the server has none.

    Raises:
        WsiSamServerError: STORE_OFF.
    """
    if store is None:
        raise WsiSamServerError(Reason.STORE_OFF)
    user = current_user()
    return store if user.sees_all else store.within(Scope(user.authors, user.projects))
