"""model, config, models, unload, reset: what is served."""

from __future__ import annotations

from argparse import BooleanOptionalAction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.capture.cell import source_from_cell, source_from_this_cell
from workbench.capture.helpers import with_helpers
from workbench.errors import WorkbenchUsageError
from workbench.launch import WarmStatus
from workbench.magics.arguments import Command, HelpText, Parser, pairs
from workbench.model_config import ModelConfig
from workbench.model_source import ModelSource
from workbench.session.model import Model
from workbench.session.model_table import ModelTable
from workbench.suggest import did_you_mean, listing

if TYPE_CHECKING:
    from workbench.magics.triton import Call

__all__ = ["COMMANDS"]


def _model_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("name", metavar="NAME", help="the model's name")
    add(
        "--in",
        dest="inputs",
        metavar="SPEC",
        nargs="+",
        action="extend",
        default=[],
        help="inputs, NAME[?]:DTYPE[dims]: ? is optional, -1 any size",
    )
    add("--out", dest="outputs", metavar="SPEC", nargs="+", action="extend", default=[], help="outputs")
    add(
        "--max-batch", type=int, default=0, metavar="N", help="largest batch; 0: the model does not batch (0)"
    )
    add("--instances", type=int, default=1, metavar="N", help="processes serving the model (1)")
    add("--device", default="cpu", metavar="DEVICE", help="cpu, gpu or gpu:N (cpu)")
    add("--decoupled", action="store_true", help="the model answers through response senders")
    add("--gpu-inputs", action="store_true", help="leave inputs in GPU memory")
    add(
        "--param",
        dest="parameters",
        metavar="K=V",
        nargs="+",
        action="extend",
        default=[],
        help="model parameters",
    )
    add("--config", metavar="NAME", help="a %%%%triton config cell, or a variable with a configuration")
    add("--this-cell", action="store_true", help="the model is the cell this line stands in")
    add("--file", metavar="PATH", help="the model is this file, or this model directory")
    add(
        "--watch",
        action=BooleanOptionalAction,
        help="load it again when the --file is saved (yes)",
    )
    add(
        "--patch",
        action="store_true",
        help="only swap the methods of the living model; initialize is not called",
    )
    add(
        "--with",
        dest="helpers",
        metavar="F,G",
        action="append",
        default=[],
        help="functions of other cells that the model uses; they go into a file beside it",
    )
    add(
        "--backend-config",
        metavar="K=V",
        nargs="+",
        action="extend",
        default=[],
        help="settings as on a server's command line, for example stub-timeout-seconds=120",
    )
    add("--stub", choices=["own", "nvidia"], help="whose stub runs the model (own)")
    add("--release", metavar="REL", help="protocol release, for example 24.10 (the newest)")


def _model(call: Call) -> Model:
    given = call.arguments
    source = _source(call)
    options: dict[str, Any] = {}
    for key, value, default in (
        ("max_batch_size", given.max_batch, 0),
        ("instances", given.instances, 1),
        ("device", given.device, "cpu"),
        ("decoupled", given.decoupled, False),
        ("gpu_inputs", given.gpu_inputs, False),
        ("parameters", pairs(given.parameters, "parameter", "--param key=value"), {}),
    ):
        if value != default:
            options[key] = value
    backend = pairs(given.backend_config, "setting", "--backend-config stub-timeout-seconds=120")
    if given.stub:
        backend["stub"] = given.stub
    if given.release:
        backend["release"] = given.release
    config = _named_config(call, given.config) if given.config else None
    if given.watch and not given.file:
        raise WorkbenchUsageError("--watch is for --file", hint="cells are loaded when they are run")
    if given.patch and given.on != "live":
        raise WorkbenchUsageError(
            "--patch is for live models", hint="a server loads the whole model: leave it out"
        )
    if given.patch:
        options["patch"] = True
    elif given.file and given.watch is not False and given.on == "live":
        options["watch"] = True
    return call.target.define(
        given.name, source, given.inputs, given.outputs, config, backend_config=backend, **options
    )


def _source(call: Call) -> ModelSource | Path:
    given = call.arguments
    if call.body is not None:
        if given.this_cell or given.file:
            raise WorkbenchUsageError(
                "a %%triton model cell is its own source", hint="leave --this-cell and --file out"
            )
        first = call.line.split("\n", 1)[0]
        source = source_from_cell(
            f"%%triton {first}", call.body, label=call.cell_label, leading=call.leading_lines
        )
        return _with(call, source)
    if given.this_cell:
        if not call.raw_cell:
            raise WorkbenchUsageError(
                "the text of this cell is not known: the shell keeps no history",
                hint="write %%triton model NAME as the cell's first line",
            )
        return _with(call, source_from_this_cell(call.raw_cell, label=call.cell_label))
    if given.helpers:
        raise WorkbenchUsageError(
            "--with is for models in cells", hint="import what the file needs in the file"
        )
    if given.file:
        return Path(given.file).expanduser()
    raise WorkbenchUsageError(
        "no source for the model",
        hint="%%triton model NAME above the model, or --this-cell, or --file model.py",
    )


def _with(call: Call, source: ModelSource) -> ModelSource:
    names = [name for each in call.arguments.helpers for name in each.replace(",", " ").split()]
    return with_helpers(source, names, call.shell.user_ns) if names else source


def _named_config(call: Call, name: str) -> ModelConfig | str:
    configs = call.target.configs
    if name in configs:
        return ModelConfig.from_text(_without_name(configs[name]), name=call.arguments.name)
    value = call.shell.user_ns.get(name)
    if isinstance(value, (ModelConfig, str)):
        return value
    raise WorkbenchUsageError(
        f"no configuration {name!r}{did_you_mean(name, configs)}; {listing(configs)}",
        hint=f"a %%triton config {name} cell defines one",
    )


def _without_name(config: ModelConfig) -> str:
    lines = config.to_text().splitlines()
    return "\n".join(each for each in lines if not each.startswith("name:"))


def _config_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="the model's name")
    parser.add_argument(
        "--json", action="store_true", help="show it as the model sees it in args['model_config']"
    )


def _config(call: Call) -> ModelConfig | HelpText:
    name = call.arguments.name
    if call.body is None:
        host = call.target.workbench.find(name)
        stored = call.target.configs.get(name)
        config = stored if host is None and stored is not None else call.target.config(name)
    else:
        # The magic's line becomes a comment, so that line numbers in errors are lines of the cell.
        text = "\n" * call.leading_lines + "# %%triton\n" + call.body
        config = call.target.set_config(name, ModelConfig.from_text(text, name=name))
    return HelpText(config.to_json(indent=2)) if call.arguments.json else config


def _models(call: Call) -> ModelTable:
    return call.target.workbench.models


def _preload_arguments(parser: Parser) -> None:
    parser.add_argument("modules", metavar="MODULE", nargs="+", help="for example torch or transformers")


def _preload(call: Call) -> WarmStatus:
    return call.target.workbench.preload(*call.arguments.modules)


def _unload_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="the model's name")
    parser.add_argument("--yes", action="store_true", help="mean it: for a protected server")


def _unload(call: Call) -> None:
    call.target.unload(call.arguments.name)


def _reset(call: Call) -> None:
    call.target.workbench.reset()
    call.target.configs.clear()
    call.target.files.clear()


def _nothing(parser: Parser) -> None:
    """No arguments of its own."""


COMMANDS = (
    Command(
        "model",
        "Serve the model in the cell; under a name in use it takes over.",
        ("cell", "line"),
        _model_arguments,
        _model,
    ),
    Command(
        "config",
        "Give a model its config.pbtxt, or show the effective one.",
        ("cell", "line"),
        _config_arguments,
        _config,
    ),
    Command("models", "List the models.", ("line",), _nothing, _models),
    Command(
        "preload",
        "Import installed modules for models to come; what models import is learned anyway.",
        ("line",),
        _preload_arguments,
        _preload,
    ),
    Command("unload", "Stop a model.", ("line",), _unload_arguments, _unload),
    Command("reset", "Stop every model and remove every region.", ("line",), _nothing, _reset),
)
