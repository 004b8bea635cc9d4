"""The commands of a live study: serve it, work on it, and say who may do what with it.

Like the other commands they import their rooms when they run, so that help loads nothing heavy.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from bestpolicy.terminal import (
    DONE,
    executor_option,
    exit_code,
    json_option,
    people,
    print_json,
    stop_on_signal,
)

study_argument = click.argument("study", type=click.Path())


@click.command()
@study_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="A name under which others reach this server; may be given more than once.",
)
@click.option(
    "--rate",
    default=5000.0,
    show_default=True,
    type=click.FloatRange(0, 10**6, min_open=True),
    help="Requests a second that one address may make.",
)
@json_option
def serve(
    study: str, host: str, port: int, names: tuple[str, ...], rate: float, as_json: bool
) -> int:
    """Serve a study over HTTP: assign and feedback, the page for people, where it stands.

    STUDY is a YAML file. On 127.0.0.1 no token is needed; any other address or name needs the
    secret BESTPOLICY_SECRET in the environment, and tokens made with `bestpolicy token`. Ctrl-C
    ends it; everything that was acknowledged is on disk.
    """
    from contextlib import closing

    from bestpolicy.config import connect, load
    from bestpolicy.run import open_study

    try:
        from bestpolicy.serve.app import LOOPBACK, make_app
        from bestpolicy.serve.house import House
        from bestpolicy.serve.listen import (
            address,
            bound,
            is_loopback,
            leave,
            listen,
            secret_of,
        )
        from bestpolicy.serve.pairs import people_of
        from bestpolicy.serve.signing import Signer
    except ImportError as error:
        raise _without("serve", error) from None

    file, out = load(study), sys.stdout
    # Behind a server that passes requests on, whoever comes seems to sit here.
    local = all(map(is_loopback, (host, *names)))
    secret, lasts = secret_of(host if local else "0.0.0.0")
    with people(as_json) as console, closing(bound(host, port)) as sock:
        players = connect(file)
        with (
            closing(players),
            open_study(file, to_play=True) as opened,
            people_of(opened, players) as pairs,
        ):
            signer = Signer(secret, opened.study.name)
            house = House(opened, players, signer, local, pairs, rate=rate)
            app = make_app(house, hosts=LOOPBACK | {host, *(name.lower() for name in names)})
            url = address(sock)
            about: dict[str, Any] = {"url": url, "rate": f"{url}/rate", "docs": f"{url}/docs"}
            about["dashboard"] = f"{url}/dashboard"
            if as_json:
                print_json({"serve": about}, out)
            console.print(f"{opened.study.name} on {url}", markup=False)
            console.print(f"people rate at {url}/rate · status at {url}/dashboard", markup=False)
            if not lasts:
                console.print(
                    "tokens, and which unit was which, end with this process: set "
                    "BESTPOLICY_SECRET to keep them",
                    markup=False,
                )
            listen(app, sock)
    leave(DONE, at_once=pairs is not None and pairs.hangs)
    return DONE


@click.command()
@study_argument
@click.option(
    "--may",
    multiple=True,
    required=True,
    type=click.Choice(["assign", "feedback", "rate", "admin"]),
    help="What its holder may do; may be given more than once.",
)
@click.option("--days", default=90.0, show_default=True, type=click.FloatRange(0.001, 3650))
@json_option
def token(study: str, may: tuple[str, ...], days: float, as_json: bool) -> int:
    """Make an access token for a served study, signed with BESTPOLICY_SECRET."""
    from bestpolicy.config import load

    try:
        from bestpolicy.serve.listen import secret_of
        from bestpolicy.serve.signing import Signer
    except ImportError as error:
        raise _without("serve", error) from None

    file = load(study)
    secret, _ = secret_of("0.0.0.0")
    made = Signer(secret, file.name).sign("access", {"may": sorted(set(may))}, lasts=86400 * days)
    if as_json:
        print_json({"token": made, "may": sorted(set(may)), "days": days})
    else:
        click.echo(made)
    return DONE


@click.command()
@study_argument
@click.option("-n", "many", default=1, show_default=True, type=click.IntRange(1, 1000))
@click.option("--days", default=7.0, show_default=True, type=click.FloatRange(0.001, 365))
@click.option(
    "--url",
    default="http://127.0.0.1:8000",
    show_default=True,
    help="The address under which people reach the server.",
)
@json_option
def invite(study: str, many: int, days: float, url: str, as_json: bool) -> int:
    """Print one-time links for the people who are to rate, one line each.

    A link lets one browser in, once. From the first invitation on nobody rates without one, on
    this machine either.
    """
    from bestpolicy.config import load
    from bestpolicy.core.nouns import ConfigError
    from bestpolicy.run import open_study

    try:
        from bestpolicy.serve.sessions import invite as invited
    except ImportError as error:
        raise _without("serve", error) from None

    file = load(study)
    if file.judge_kind != "human":
        raise ConfigError(
            f"{study} is judged by {file.judge_kind}, and people are invited to judge: say "
            "judge: {human: {}}"
        )
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"--url must begin with http:// or https://, saw {url!r}")
    with people(as_json), open_study(file) as opened:
        codes = invited(opened.ratings, many, days)
    links = [f"{url.rstrip('/')}/rate/join?code={code}" for code in codes]
    if as_json:
        print_json({"invitations": links, "days": days})
    else:
        click.echo("\n".join(links))
    return DONE


@click.command()
@study_argument
@click.option(
    "--lease",
    default=60.0,
    show_default=True,
    type=click.FloatRange(1, 86400),
    help="Seconds after which others take over what a dead worker left.",
)
@executor_option
@json_option
def work(study: str, lease: float, executor: str, as_json: bool) -> int:
    """Play a study together with other workers, and print its verdict.

    STUDY is a YAML file. Start it as often as you like: on one machine with a SQLite store, on any
    number of machines with PostgreSQL. Each duel is one worker's until its lease runs out; who
    dies leaves nothing behind. Ctrl-C stops after what is in flight and lets the rest go.
    """
    import time
    from contextlib import closing

    from bestpolicy.config import connect, load
    from bestpolicy.core.nouns import ConfigError
    from bestpolicy.fanout import engine, made
    from bestpolicy.report.live import live
    from bestpolicy.report.tables import as_json as report_json
    from bestpolicy.report.tables import as_text
    from bestpolicy.run import Worker, constraints, open_study, play, snapshot

    began = time.monotonic()
    file = load(study)
    if file.judge_kind in ("human", "live"):
        who = {"human": "people answer", "live": "live traffic answers"}[file.judge_kind]
        raise ConfigError(f"{study}: {who} this study, and no worker can: bestpolicy serve {study}")
    with people(as_json) as console, stop_on_signal() as stop, engine(executor):
        players = connect(file, made=made)
        with closing(players), open_study(file, to_play=True) as opened:

            def look() -> Any:
                return snapshot(opened, seconds=time.monotonic() - began, passing=True)

            with Worker(opened.study, lease) as worker, live(look, console) as update:
                console.print(f"worker {worker.who}", markup=False)
                played = play(opened, players, stop=stop, watch=update, worker=worker)
            kept = constraints(opened, players)
            seconds = time.monotonic() - began
            at = snapshot(opened, kept=kept, played=played, seconds=seconds)
        console.print(as_text(at))
        lost = f", {worker.lost} lost to others" if worker.lost else ""
        console.print(f"{played.told} duels answered here{lost}")
        if stop.is_set() and not at.verdict.final:
            console.print("stopped; the others go on, and the same command joins them again")
    if as_json:
        about = {"who": worker.who, "told": played.told, "lost": worker.lost}
        print_json(report_json(at) | {"worker": about})
    return exit_code(at.verdict, stopped=stop.is_set())


def _without(extra: str, error: ImportError) -> Exception:
    from bestpolicy.core.nouns import ConfigError

    return ConfigError(
        f"this needs {error.name}, which is not installed: pip install 'bestpolicy[{extra}]'"
    )
