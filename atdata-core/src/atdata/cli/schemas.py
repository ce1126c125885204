"""``atdata schema``: the sample types that the index knows."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from atdata.cli.indexes import open_index
from atdata.cli.output import AsJson, complain, print_facts, print_json, print_line, print_table
from atdata.errors import SchemaError
from atdata.index import LocalSchemaRecord

app = typer.Typer(help="List and show the schemas of samples.", rich_markup_mode=None)

Ref = Annotated[
    str, typer.Argument(metavar="REF|NAME[@VERSION]", help="Without a version, the highest.")
]


@app.command("ls")
def ls(context: typer.Context, as_json: AsJson = False) -> None:
    """List all versions of all schemas."""
    with open_index(context.obj) as index:
        records = list(index.schemas)
    if as_json:
        print_json([record.to_dict() for record in records])
    elif records:
        print_table([_listing_row(record) for record in records])
    else:
        complain("there are no schemas in this index yet")


@app.command("show")
def show(context: typer.Context, ref: Ref, as_json: AsJson = False) -> None:
    """Show one schema with its fields."""
    with open_index(context.obj) as index:
        record = index.get_schema_record(ref)
    if as_json:
        print_json(record.to_dict())
        return
    facts = {
        "name": record.name,
        "version": record.version,
        "ref": record.ref,
        "created": record.created_at,
        "description": record.description,
        "metadata": json.dumps(record.metadata, ensure_ascii=False) if record.metadata else None,
    }
    print_facts({name: fact for name, fact in facts.items() if fact is not None})
    print_line()
    print_table(field_rows(record), "fields")


def field_rows(record: LocalSchemaRecord) -> list[dict[str, Any]]:
    """Return the fields of a schema; ``SchemaError`` if it cannot be understood."""
    return [
        {"name": field.name, "type": str(field.type), "optional": field.optional}
        for field in record.schema.fields
    ]


def short_ref(ref: str) -> str:
    """Shorten a reference to a schema of this index to name and version."""
    return ref.removeprefix("atdata://local/sampleSchema/")


def _listing_row(record: LocalSchemaRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "version": record.version,
        "fields": _field_text(record),
        "created": (record.created_at or "-")[:19],
    }


def _field_text(record: LocalSchemaRecord) -> str:
    try:
        rows = field_rows(record)
    except SchemaError as error:
        return f"({error})"
    return ", ".join(
        f"{row['name']}: {row['type']}{' | None' if row['optional'] else ''}" for row in rows
    )
