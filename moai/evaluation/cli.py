"""The command line: `python -m benchmarks list | run | ablate | report`."""

import argparse
from pathlib import Path

from moai.evaluation.catalogue import BENCHMARKS, check_names
from moai.evaluation.options import add_assistant_options, assistant_of, looking
from moai.evaluation.suites import SUITES, suite
from moai.terminal import Parser, guarded, quiet_libraries
from weights import DEFAULT_MODEL, NANO

RESULTS = Path("runs/benchmarks")


def parser() -> argparse.ArgumentParser:
    """Every command and option."""
    top = Parser(prog="moai eval", description="Zero-shot benchmarks of MoAI models.")
    commands = top.add_subparsers(dest="command", required=True)

    commands.add_parser("list", help="show every benchmark and where its data comes from")

    run = commands.add_parser("run", help="answer and score benchmarks; what was answered before is kept")
    run.add_argument("names", nargs="+", metavar="NAME", help="names as `list` shows them")
    run.add_argument("--limit", type=int, help="only the first so many questions (of a suite: of each part)")
    run.add_argument("--data", type=Path, help="folder with the data as released (default: the hub)")
    run.add_argument("--harness", action="store_true", help="run suites through lmms-eval, too, as all others run")
    run.add_argument("--judge", metavar="URL", help="OpenAI-compatible server that judges MM-Vet and MathVista")
    run.add_argument("--judge-model", default="gpt-4o-2024-11-20", help="name of the judge (default: %(default)s)")
    run.add_argument("--scenes", type=int, default=40, help="pictures of a suite (default: %(default)s)")
    run.add_argument("--seed", type=int, default=0, help="which held-out pictures a suite uses (default: %(default)s)")

    ablate = commands.add_parser("ablate", help="run drawn with parts of the model left out")
    ablate.add_argument("--step1", help="folder of a checkpoint after training step 1, to compare with")
    ablate.add_argument("--seeds", type=int, default=3, help="how many sets of scenes (default: %(default)s)")
    ablate.add_argument("--scenes", type=int, default=10, help="scenes in each set (default: %(default)s)")
    ablate.add_argument("--limit", type=int, help="only the first so many questions of each part of a set")

    for command, model in ((run, DEFAULT_MODEL), (ablate, NANO)):
        add_assistant_options(command, model)
        command.add_argument("--batch-size", type=int, default=8, help="questions at once (default: %(default)s)")
        command.add_argument("--out", type=Path, help=f"folder for results (default: one under {RESULTS})")

    report = commands.add_parser("report", help="write report.md, report.json and report.png about finished runs")
    report.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="folders that `run` wrote")
    report.add_argument("--out", type=Path, help="folder for the report (default: the first DIR)")
    return top


def model_label(model: str | None) -> str:
    """How a model is called in results: the embedded one, or the last part of its folder or hub id."""
    return "embedded" if model is None else Path(model).name


def results_folder(arguments: argparse.Namespace) -> Path:
    """Where results go: --out, or a folder of the model's own, so that runs of different models do not meet."""
    return arguments.out or RESULTS / model_label(arguments.model)


def run_list(arguments: argparse.Namespace) -> None:
    """`list`."""
    for name in SUITES:
        print(f"{name:15} {suite(name).about}")
    for one in BENCHMARKS.values():
        print(f"{one.name:15} {one.title}{'; judged' if one.judged else ''}; data: {one.source}")


def run_run(arguments: argparse.Namespace) -> None:
    """`run`."""
    check_names(arguments.names)
    if arguments.limit is not None and arguments.limit < 1:
        raise ValueError(f"--limit must be at least 1, got {arguments.limit}")
    folder = results_folder(arguments)
    official = [name for name in arguments.names if name not in SUITES]
    if official or arguments.harness:
        from moai.evaluation.lmms.run import prepare

        prepare(official, arguments.data)
    from moai.evaluation.report import scores_table

    assistant = assistant_of(arguments)
    label = model_label(arguments.model)
    shared = {"limit": arguments.limit, "batch_size": arguments.batch_size}
    for name in dict.fromkeys(arguments.names):
        if name in SUITES:
            one = suite(name)
            if arguments.harness and one.run_in_harness is None:
                raise ValueError(f"{name} does not run through lmms-eval; leave out --harness")
            asked = shared | {"scenes": arguments.scenes, "evaluation_seed": arguments.seed}
            target = folder / (f"{name}-{arguments.seed}" if arguments.seed else name)
            result = (one.run_in_harness if arguments.harness else one.run)(assistant, label, target, **asked)
        else:
            from moai.evaluation.lmms.run import run_benchmark

            judge = (arguments.judge, arguments.judge_model) if arguments.judge else None
            target = folder / name
            result = run_benchmark(name, assistant, label, target, data=arguments.data, judge=judge, **shared)
        if result is not None:  # only the first of several processes has the scores
            print(f"{scores_table(result)}\n\nwritten to {target}")


def run_ablate(arguments: argparse.Namespace) -> None:
    """`ablate`."""
    from moai.evaluation.ablation import ablate

    folder = arguments.out or RESULTS / f"{model_label(arguments.model)}-ablation"
    print(
        ablate(
            arguments.model,
            folder,
            seeds=arguments.seeds,
            scenes=arguments.scenes,
            step1=arguments.step1,
            limit=arguments.limit,
            batch_size=arguments.batch_size,
            device=arguments.device,
            experts_from=arguments.experts_from,
            looks=looking(arguments) | {"memory": arguments.memory},
        )
    )
    print(f"\nwritten to {folder}")


def run_report(arguments: argparse.Namespace) -> None:
    """`report`."""
    from moai.evaluation.report import write_report

    print(write_report(arguments.folders, arguments.out or arguments.folders[0]))


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 when it went well, 2 after one sentence on standard error when it did not."""
    return guarded(lambda: _run(argv))


def _run(argv: list[str] | None) -> None:
    arguments = parser().parse_args(argv)
    quiet_libraries()
    run = {"list": run_list, "run": run_run, "ablate": run_ablate, "report": run_report}[arguments.command]
    run(arguments)
