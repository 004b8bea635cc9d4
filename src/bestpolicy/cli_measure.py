"""The commands that play known truths: `simulate` one design, `bench` a published table.

Like the other commands they import their rooms when they run, so that help loads nothing heavy.
"""

from __future__ import annotations

import click

from bestpolicy.bench import TABLES
from bestpolicy.terminal import DONE, executor_option, json_option, known, people, print_json


@click.command()
@click.argument("instance")
@click.option("--design", default="llm-po", show_default=True, help="What decides the next duel.")
@click.option("--reps", type=click.IntRange(1), default=100, show_default=True, help="Studies.")
@click.option(
    "--confidence", type=float, default=0.95, show_default=True, help="Between 0.5 and 1."
)
@click.option("--assume-winner", is_flag=True, help="Tell the design that a winner exists.")
@click.option("--cap", type=click.IntRange(1), default=100_000, show_default=True, help="Budget.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all chance.")
@click.option("--processes", type=click.IntRange(1), help="Default: one for each core.")
@executor_option
@click.option("--bound", is_flag=True, help="Play nothing: print the lower bound of any design.")
@click.option("--plot", type=click.Path(dir_okay=False), help="An .svg or .png file for --bound.")
@json_option
def simulate(
    instance: str,
    design: str,
    reps: int,
    confidence: float,
    assume_winner: bool,
    cap: int,
    seed: int,
    processes: int | None,
    executor: str,
    bound: bool,
    plot: str | None,
    as_json: bool,
) -> int:
    """Play a design on a known truth and count comparisons and wrong verdicts.

    INSTANCE is one of the published ones, such as easy4, hard8, mid16, cyc8 or nowinner6.
    """
    from bestpolicy import simulate as room
    from bestpolicy.fanout import engine

    known("instance", instance, room.INSTANCES)
    known("design", design, room.names())
    if not 0.5 < confidence < 1:
        raise click.UsageError(f"--confidence must be between 0.5 and 1, saw {confidence:g}")
    if bound or plot:
        return _bound(instance, 1 - confidence, plot, as_json)
    cell = room.Cell(instance, design, assume_winner, 1 - confidence, cap, reps)
    with people(as_json) as console, engine(executor):
        (result,) = room.play_all([cell], seed=seed, processes=processes, console=console)
        console.print(room.as_text(result))
    if as_json:
        print_json({"simulation": room.as_json(result, seed)})
    return DONE


@click.command()
@click.argument("name")
@click.option("--quick", is_flag=True, help="Fewer replications: minutes instead of hours.")
@click.option("--out", default="docs/bench", show_default=True, help="Folder for JSON and figure.")
@click.option("--instances", help="Only these, with commas between (dueling, offline-prompts).")
@click.option("--methods", help="Only these, with commas between (dueling).")
@click.option("--figures", help="Only these, with commas between (llm-po).")
@click.option("--replications", type=click.IntRange(1), help="Instead of the published number.")
@click.option("--processes", type=click.IntRange(1), help="Default: one for each core.")
@click.option("--store", help="An address of a database instead of a file (serve, kills, service).")
@executor_option
@click.option(
    "--cache",
    type=click.Path(file_okay=False),
    help="Folder of what is kept (peers, movies, offline-prompts).",
)
@click.option("--model", help="local/smollm2, or local/FOLDER of a larger one (movies).")
@click.option("--data", type=click.Path(file_okay=False), help="Folder of ratings (movies).")
@json_option
def bench(
    name: str,
    quick: bool,
    out: str,
    instances: str | None,
    methods: str | None,
    figures: str | None,
    replications: int | None,
    processes: int | None,
    store: str | None,
    executor: str,
    cache: str | None,
    model: str | None,
    data: str | None,
    as_json: bool,
) -> int:
    """Play a published table and print ours beside it.

    NAME is dueling (comparisons and wrong verdicts), llm-po (figures of the default design),
    peeking (A/A tests), structure (what knowing how policies hang together saves), judges (those
    that misbehave), peers (another library beside ours), ask (processor time of a question), run
    (what a run costs besides its models), injections (answers that tell the judge what to say),
    serve (what live traffic costs the server), kills (kill -9 under load), service (A/A tests
    through the real service), sentences (values of policies from the sentences they logged), ope
    (off-policy evaluation), coverage (its intervals), offline-prompts (policies learnt from
    logged sentences: prompts, rows, noise, kernels and models; what is finished is kept), movies
    (the same with a language model's sentences and tastes from ratings) or metric (the same by
    distances that were learnt too).
    """
    import re
    from importlib import import_module
    from inspect import signature
    from pathlib import Path

    from bestpolicy.fanout import engine

    known("table", name, TABLES)
    main = import_module(f"bestpolicy.bench.{name.replace('-', '_')}").main
    parts = {
        "instances": instances.split(",") if instances else None,
        "methods": re.split(r",(?!\s*winner or none)\s*", methods) if methods else None,
        "figures": figures.split(",") if figures else None,
        "replications": replications,
        "processes": processes,
        "store": store,
        "cache": Path(cache) if cache else None,
        "model": model,
        "data": Path(data) if data else None,
    }
    given = {key: value for key, value in parts.items() if value is not None}
    for key in given:
        if key not in signature(main).parameters:
            raise click.UsageError(f"--{key} does not go with {name}")
    with people(as_json) as console, engine(executor):
        report = main(quick, Path(out), console=console, **given)
    if as_json:
        print_json({"bench": {"name": name, "out": out, "report": report}})
    return DONE


def _bound(instance: str, delta: float, plot: str | None, as_json: bool) -> int:
    from pathlib import Path

    from bestpolicy import requirement as room

    if plot is not None and Path(plot).suffix not in (".svg", ".png"):
        raise click.UsageError(f"--plot needs an .svg or .png file, saw {plot!r}")
    with people(as_json) as console:
        found = room.requirements(instance)
        room.show(instance, found, delta, console)
        if plot is not None:
            room.draw(instance, found, Path(plot), console)
    if as_json:
        print_json({"bound": room.as_json(instance, found, delta)})
    return DONE
