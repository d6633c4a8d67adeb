"""`/api/v1/flows/`: the flows a caller may run. Prompts and graph are for authors only."""

from typing import Any

from fastapi import APIRouter, Request

from flowground.api.incoming import verify_caller
from flowground.caller import Caller
from flowground.errors import FlowNotFound
from flowground.snippets.request import find_types
from flowground.wiring import WiredFlow

router = APIRouter(
    prefix="/api/v1/flows", tags=["flows"], responses={403: {"description": "No valid application token."}}
)


@router.get("", include_in_schema=False)
@router.get("/")
async def flows(request: Request, header_flows: bool = False) -> list[dict[str, Any]]:
    """Every flow the caller may run, by name; `header_flows` leaves the insides out."""
    runtime, caller = await verify_caller(request)
    return [
        _describe(wired, caller, shows_components=not header_flows) for wired in await runtime.access.list_flows(caller)
    ]


@router.get("/{flow_id}", responses={404: {"description": "No such flow for this token."}})
async def flow(request: Request, flow_id: str) -> dict[str, Any]:
    """One flow by id or endpoint name."""
    runtime, caller = await verify_caller(request)
    try:
        wired = await runtime.access.open_flow(caller, flow_id)
    except FlowNotFound as error:
        error.message = "Flow not found"  # Langflow's sentence here
        raise
    return _describe(wired, caller, shows_components=True)


def _describe(wired: WiredFlow, caller: Caller, *, shows_components: bool) -> dict[str, Any]:
    input_type, output_type = find_types(wired)
    return {
        "id": wired.id,
        "name": wired.name,
        "endpoint_name": wired.flow.api.endpoint_name,
        "description": wired.flow.description,
        "version": wired.version,
        "input_type": input_type,
        "output_type": output_type,
        "data": _list_components(wired) if shows_components and caller.sees_inside else None,
    }


def _list_components(wired: WiredFlow) -> dict[str, Any]:
    """Components as the file has them; secret fields are left out, whatever they hold."""
    return {
        "components": {
            name: {
                "type": spec.type,
                "display_name": wired.display_names[name],
                "fields": {key: value for key, value in spec.fields.items() if not wired.policy.is_secret(name, key)},
            }
            for name, spec in wired.flow.components.items()
        }
    }
