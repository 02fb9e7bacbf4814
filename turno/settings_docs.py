"""The settings as people read them: docs/configuration.md and .env.example, both made from `shared.settings`."""

from enum import Enum

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo

from shared.settings import Settings

_MARKDOWN = """\
# Configuration

Everything is set by environment variables, or by the same names in a file `.env` in the working folder; the environment
wins. Nothing needs to be set to start. A value that cannot be used stops the start with one sentence.

| name | default | meaning |
|---|---|---|
{rows}

Made by `make docs` from `shared/settings.py`: change the descriptions there.
"""

_ENV = """\
# Copy to .env and uncomment what you change. Made by `make docs` from shared/settings.py.

{entries}
"""


def as_markdown() -> str:
    """The text of docs/configuration.md."""
    rows = [
        f"| `{_name(key, field)}` | {f'`{value}`' if (value := _default(field)) else ''} | {_cell(field)} |"
        for key, field in Settings.model_fields.items()
    ]
    return _MARKDOWN.format(rows="\n".join(rows))


def as_env() -> str:
    """The text of .env.example: every setting commented out, at its default."""
    entries = [
        f"# {field.description}\n# {_name(key, field)}={_default(field)}"
        for key, field in Settings.model_fields.items()
    ]
    return _ENV.format(entries="\n\n".join(entries))


def _name(key: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    first = alias.choices[0] if isinstance(alias, AliasChoices) else alias or key
    return str(first).upper()


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return "" if value is None else str(value.value if isinstance(value, Enum) else value)


def _cell(field: FieldInfo) -> str:
    return (field.description or "").replace("|", "\\|")
