"""The paths of the Exports API, and what /docs says about them.

Every path below the collection leads to one of three handlers, which read the address
from the raw path; the templates here document the forms there are. Each path answers
with and without a trailing slash, and never with a redirect.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from inspect import signature
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader
from pydantic import BaseModel

from gateway import handlers, schemas
from gateway.addresses import DATASETS, EXPORTS, FORMATS

Responses = dict[int | str, dict[str, Any]]

_api_key = APIKeyHeader(
    name="X-API-Key", auto_error=False, description="A key of your organization: `pk_live_…`"
)

_DatasetName = Annotated[str, Path(description="The dataset's name or slug.")]
_ExportName = Annotated[str, Path(description="The export's name, percent-encoded.")]


def _named(dataset_name: _DatasetName, export_name: _ExportName) -> None:
    """The parameters of a path that gives both names."""


def _of_dataset(dataset_name: _DatasetName) -> None:
    """The parameter of a dataset's path."""


def _identified(
    export: Annotated[str, Path(description="The export's id; or, with `dataset`, its name.")],
    dataset: Annotated[
        str | None, Query(description="The dataset's name, where the path gives a name.")
    ] = None,
) -> None:
    """The parameters of a path that gives an id, or a name beside `?dataset=`."""


class _Route(APIRoute):
    """A route whose handler reads the request by itself is called with it at once: what such a
    route declares of its parameters is for the document."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        if list(signature(self.endpoint).parameters) == ["request"]:
            handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
            return handler
        return super().get_route_handler()


@dataclass(frozen=True, slots=True)
class _Form:
    """A form of path, as it is documented: its parameters and the shapes of its answers."""

    path: str
    tag: str
    parameters: Callable[..., None]
    export: Any
    download: Any
    deleted: Any
    error: Any


#: The router takes the first that fits: `{export}/download` goes before the page's form.
_FORMS = (
    _Form(
        "/{export}",
        "Exports by id (and as SDK 1.69.44 and later address them)",
        _identified,
        schemas.Export | schemas.ExportData,
        schemas.DownloadData | schemas.Download,
        schemas.DeletedData | schemas.Deleted,
        schemas.Error | schemas.ErrorObject,
    ),
    _Form(
        "/{dataset_name}/{export_name}",
        "Exports",
        _named,
        schemas.Export,
        schemas.Download,
        schemas.Deleted,
        schemas.Error,
    ),
    _Form(
        "/by-name/{dataset_name}/{export_name}",
        "Exports as SDK 1.61.0 to 1.69.43 address them",
        _named,
        schemas.ExportData,
        schemas.DownloadData,
        schemas.DeletedData,
        schemas.ErrorObject,
    ),
)


def router() -> APIRouter:
    """The routes of the Exports API."""
    routes = APIRouter(route_class=_Route, dependencies=[Security(_api_key)])
    routes.post(
        f"{EXPORTS}/",
        status_code=201,
        summary="Create export",
        tags=["Exports"],
        responses=_answers(schemas.Export, 400, 403, 404, 409, 413, good=201),
        openapi_extra=_json_body(schemas.CreateExport),
    )(handlers.create_export)
    routes.get(
        f"{EXPORTS}/",
        summary="List exports",
        tags=["Exports"],
        responses=_answers(list[schemas.Export], 404),
    )(handlers.list_exports)
    routes.post(
        f"{EXPORTS}/bulk-delete",
        summary="Delete many exports",
        tags=["Exports"],
        responses=_answers(schemas.BulkDeleted, 400, 403, 413),
        openapi_extra=_json_body(schemas.BulkDelete),
    )(handlers.bulk_delete_exports)
    routes.post(
        f"{EXPORTS}/preview",
        summary="Preview export",
        tags=["Exports"],
        responses=_answers(schemas.Preview | schemas.PreviewData, 400, 404, 413),
        openapi_extra=_json_body(schemas.PreviewExport),
    )(handlers.preview_export)
    for form in _FORMS:
        path = EXPORTS + form.path
        shown: dict[str, Any] = {"tags": [form.tag], "dependencies": [Depends(form.parameters)]}
        routes.get(
            path,
            summary="Get export status",
            description="Read the status and the details of an export.",
            responses=_answers(form.export, 404, error=form.error),
            **shown,
        )(handlers.read_export)
        routes.get(
            f"{path}/download",
            summary="Download export",
            description="Get a signed link to the archive of a completed export.",
            responses=_answers(form.download, 404, 409, error=form.error),
            **shown,
        )(handlers.read_export)
        routes.post(
            f"{path}/retry",
            summary="Retry export",
            description="Take a failed export up again under its id: from what is finished, or "
            "with `fresh` from a new snapshot of the dataset. Requires the role member or higher.",
            responses=_answers(form.export, 400, 403, 404, 409, 413, error=form.error),
            openapi_extra=_json_body(schemas.RetryExport, required=False),
            **shown,
        )(handlers.act_on_export)
        routes.post(
            f"{path}/cancel",
            summary="Cancel export",
            description="End an export that is not finished as failed, with the code "
            "`cancelled`, and remove what was built; the export itself stays. Requires the role "
            "member or higher.",
            responses=_answers(form.export, 403, 404, 409, error=form.error),
            **shown,
        )(handlers.act_on_export)
        routes.delete(
            path,
            summary="Delete export",
            responses=_answers(form.deleted, 403, 404, error=form.error),
            **shown,
        )(handlers.delete_export)
    routes.get(
        f"{DATASETS}/",
        summary="List datasets",
        tags=["Datasets"],
        responses=_answers(schemas.Datasets),
    )(handlers.list_datasets)
    routes.get(
        f"{DATASETS}/{{dataset_name}}",
        summary="Get dataset",
        tags=["Datasets"],
        responses=_answers(schemas.Dataset, 404),
        dependencies=[Depends(_of_dataset)],
    )(handlers.read_dataset)
    routes.get(
        f"{FORMATS}/",
        summary="List formats",
        tags=["Exports"],
        responses=_answers(schemas.Formats),
    )(handlers.list_formats)
    hidden: dict[str, Any] = {"include_in_schema": False}
    routes.post(EXPORTS, status_code=201, **hidden)(handlers.create_export)
    routes.get(EXPORTS, **hidden)(handlers.list_exports)
    routes.post(f"{EXPORTS}/bulk-delete/", **hidden)(handlers.bulk_delete_exports)
    routes.post(f"{EXPORTS}/preview/", **hidden)(handlers.preview_export)
    routes.get(DATASETS, **hidden)(handlers.list_datasets)
    routes.get(FORMATS, **hidden)(handlers.list_formats)
    # As most SDKs of 1.x ask.
    routes.get(f"{DATASETS}/by-name/{{dataset_name:path}}", **hidden)(handlers.read_dataset)
    routes.get(f"{DATASETS}/{{dataset_name:path}}", **hidden)(handlers.read_dataset)
    # Trailing slashes, and names with unquoted slashes in them.
    anything = EXPORTS + "/{address:path}"
    routes.get(anything, **hidden)(handlers.read_export)
    routes.delete(anything, **hidden)(handlers.delete_export)
    routes.post(anything, **hidden)(handlers.act_on_export)
    return routes


def _answers(answer: Any, *codes: int, error: Any = schemas.Error, good: int = 200) -> Responses:
    """The documented answers of an operation: the good one, and what can go wrong."""
    every = (401, 414, 422, 429, 500, 503, 504)
    return {
        good: {"model": answer},
        **{code: {"model": error} for code in sorted({*every, *codes})},
    }


def _json_body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """The documentation of a body that the handler reads by itself."""
    schema = model.model_json_schema()
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}
    }
