"""Writes docs/guide/cli.md from the commands' own help; a test compares the two."""

from __future__ import annotations

from pathlib import Path

import click

from bestpolicy.cli import cli

PAGE = Path(__file__).parent / "guide" / "cli.md"


def page() -> str:
    """The page as it should be."""
    parts = ["# The command line\n\nWritten by `make docs` from the commands' own help.\n"]
    with cli.make_context("bestpolicy", [], resilient_parsing=True) as top:
        parts.append(_section("bestpolicy", cli, top))
        for name, command in sorted(cli.commands.items()):
            with command.make_context(name, [], parent=top, resilient_parsing=True) as context:
                parts.append(_section(f"bestpolicy {name}", command, context))
                inner = command.commands if isinstance(command, click.Group) else {}
                for part, within in sorted(inner.items()):
                    if within not in cli.commands.values():
                        with within.make_context(
                            part, [], parent=context, resilient_parsing=True
                        ) as own:
                            parts.append(_section(f"bestpolicy {name} {part}", within, own))
    return "\n".join(parts)


def _section(name: str, command: click.Command, context: click.Context) -> str:
    context.terminal_width = context.max_content_width = 88  # whoever's terminal writes the page
    return f"## {name}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page())
