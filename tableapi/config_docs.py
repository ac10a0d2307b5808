"""docs/configuration.md, made from the declared keys: `python -m tableapi.config_docs > docs/configuration.md`. Imports config only."""

from __future__ import annotations

from tableapi.config import OPTIONS, ConfigOption

_HEAD = """# Configuration

The keys on which this engine acts. This page is generated from the declarations in `tableapi/config.py`
(`python -m tableapi.config_docs`). Set them with `env.get_config().set(key, value)`, with `SET 'key' = 'value'` in SQL, or with
`-D key=value` in the terminal. All other keys of Flink 2.3 are accepted and do nothing; a key
under `table.`, `pipeline.` or `parallelism.` that nobody knows is refused with what was meant (`table.user.` is yours).

| key | takes | default | what it does |
|---|---|---|---|
"""


def render() -> str:
    """The whole page."""
    return _HEAD + "".join(_line(option) for option in sorted(OPTIONS, key=lambda o: o.key))


def _line(option: ConfigOption) -> str:
    takes = option.kind if isinstance(option.kind, str) else ", ".join(f"`{w}`" for w in option.kind)
    default = f"`{option.default}`" if option.default else ""
    return f"| `{option.key}` | {takes} | {default} | {option.doc} |\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(render())
