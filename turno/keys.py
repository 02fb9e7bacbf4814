"""`turno keys`: makes, lists, rotates and revokes the API keys in the database."""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from shared.errors import OperatorError
from shared.jobs import ApiKey, Scope

if TYPE_CHECKING:
    import sqlalchemy as sa

    from shared.keystore import StoredKey

app = typer.Typer(help="API keys in the database.", no_args_is_help=True)

T = TypeVar("T")
_NAME_MAX = 100
_TITLES = ("name", "scopes", "limits", "state")
_AMOUNT_DIGITS = 9  # the column holds 32 bits
_KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")]


@app.command()
def create(
    name: Annotated[str, typer.Option(help="Whose key it is, or what for: shown by `keys list`.")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may do; may be given again. Default: jobs:read and jobs:write.")
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="N/min", help="Requests a minute; 0 sets no limit. Default: RATE_PER_MINUTE.")
    ] = None,
    quota: Annotated[
        str | None, typer.Option(metavar="N/day", help="Images in 24 hours; 0 sets no limit. Default: IMAGES_PER_DAY.")
    ] = None,
) -> None:
    """Makes a key and prints it, this once: only a digest of it is kept."""
    from shared import keystore
    from shared.keys import DEFAULT_SCOPES, digest_of, new_key_id, new_secret

    name = name.strip()
    if not 0 < len(name) <= _NAME_MAX or not name.isprintable():
        raise OperatorError(f"--name takes one line of 1 to {_NAME_MAX} characters.")
    key = ApiKey(
        id=new_key_id(),
        name=name,
        scopes=frozenset(scope or DEFAULT_SCOPES),
        rate_per_minute=_amount("rate", rate, "min"),
        images_per_day=_amount("quota", quota, "day"),
    )
    secret = new_secret()
    _in_database(lambda connection: keystore.add(connection, key, digest_of(secret)))
    typer.echo(f"{key.id} ({key.name}) may do {_scopes(key)}. The key, shown this once:", err=True)
    typer.echo(secret)


@app.command("list")
def show(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array instead of a table.")] = False,
) -> None:
    """Lists the keys of the database, without their secrets; those of API_KEY are not among them."""
    from rich.console import Console
    from rich.table import Column, Table

    from shared import keystore

    stored = _in_database(keystore.load)
    if as_json:
        typer.echo(json.dumps([_as_json(one) for one in stored], indent=2, ensure_ascii=False))
        return
    table = Table(Column("id", min_width=14), *(Column(title, overflow="fold") for title in _TITLES))
    for one in stored:
        key = one.key
        table.add_row(key.id, key.name, "\n".join(sorted(key.scopes)), _limits(key), _state(one))
    Console().print(table, markup=False)


@app.command()
def revoke(key_id: _KeyId) -> None:
    """Ends a key for good; its jobs stay."""
    from shared import keystore

    if _in_database(lambda connection: keystore.revoke(connection, key_id)):
        typer.echo(f"{key_id} is revoked: every API refuses it within seconds.", err=True)
        return
    _require_known(key_id)
    typer.echo(f"{key_id} was revoked before.", err=True)


@app.command()
def rotate(
    key_id: _KeyId,
    overlap: Annotated[
        float, typer.Option(metavar="HOURS", min=0, max=8760, help="For so long the former secret stays valid.")
    ] = 24,
) -> None:
    """Gives a key a new secret and prints it, this once; the id, and so the jobs, stay."""
    from shared import keystore
    from shared.keys import digest_of, new_secret

    secret = new_secret()
    digest = digest_of(secret)
    if not _in_database(lambda connection: keystore.rotate(connection, key_id, digest, overlap * 3600)):
        _require_known(key_id)
        raise OperatorError(f"{key_id} is revoked: make a new key with `python -m turno keys create`.")
    former = f"stays valid for {overlap:g} h" if overlap else "is refused within seconds"
    typer.echo(f"The former secret of {key_id} {former}. The new one, shown this once:", err=True)
    typer.echo(secret)


def _in_database(work: "Callable[[sa.Connection], T]") -> T:
    """What `work` returns, committed; the database is brought up to date first."""
    from sqlalchemy.exc import SQLAlchemyError

    from shared.database import Database, unusable_database
    from shared.settings import load_settings
    from turno.cli import migrate

    migrate()
    database = Database(load_settings().sql_url)
    try:
        return database.write(work, durable=True)
    except SQLAlchemyError as error:
        raise unusable_database(error) from error
    finally:
        database.close()


def _require_known(key_id: str) -> None:
    from shared import keystore

    if key_id not in [one.key.id for one in _in_database(keystore.load)]:
        raise OperatorError(
            f"The database has no key {key_id}: `python -m turno keys list` shows them. "
            "A key of API_KEY is changed there."
        )


def _amount(option: str, given: str | None, unit: str) -> int | None:
    if given is None:
        return None
    found = re.fullmatch(rf"(\d{{1,{_AMOUNT_DIGITS}}})(/{unit})?", given, re.ASCII)
    if not found:
        raise OperatorError(f"--{option} takes a number such as 600/{unit}; 0 sets no limit.")
    return int(found[1])


def _scopes(key: ApiKey) -> str:
    return ", ".join(sorted(key.scopes))


def _limits(key: ApiKey) -> str:
    return f"rate {_limit(key.rate_per_minute, 'min')}\nquota {_limit(key.images_per_day, 'day')}"


def _limit(amount: int | None, unit: str) -> str:
    return "default" if amount is None else f"{amount}/{unit}" if amount else "none"


def _state(one: "StoredKey") -> str:
    from datetime import UTC, datetime

    if one.key.revoked_at:
        return f"revoked {one.key.revoked_at:%Y-%m-%d %H:%M} UTC"
    if one.former_until and one.former_until > datetime.now(UTC):
        return f"valid; former secret until {one.former_until:%Y-%m-%d %H:%M} UTC"
    return f"valid since {one.key.created_at:%Y-%m-%d}"


def _as_json(one: "StoredKey") -> dict[str, Any]:
    key, until = one.key, one.former_until
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "rate_per_minute": key.rate_per_minute,
        "images_per_day": key.images_per_day,
        "created_at": key.created_at and key.created_at.isoformat(),
        "former_until": until and until.isoformat(),
        "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
    }
