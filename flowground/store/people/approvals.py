"""Letting somebody in who asked: the decision and the audience change in one transaction."""

from dataclasses import replace

from sqlalchemy import Connection

from flowground.store.flows import publications
from flowground.store.flows.publications import Sharing
from flowground.store.people import access_requests


def approve(connection: Connection, *, request_id: str, by: str) -> bool:
    """False when somebody decided before.

    A flow that is off or expired is shared with this person alone: whoever it was open to before stays out.
    """
    request = access_requests.decide(connection, request_id=request_id, approved=True, by=by)
    if request is None:
        return False
    found = publications.find(connection, flow_id=request.flow_id)
    sharing = publications.sharing_of(connection, flow_id=request.flow_id)
    person = frozenset({request.member})
    if found is None or not found.in_force:
        sharing = Sharing(shared=True, audience="people", members=person)
    elif found.audience == "people":
        sharing = replace(sharing, members=sharing.members | person)
    else:
        return True
    publications.change(connection, flow_id=request.flow_id, sharing=sharing, by=by)
    return True
