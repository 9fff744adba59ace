"""Nothing that is read runs code or is fetched: no pickle, no eval, no address.

The imports and calls that could do so are in the few modules that are named here, each
for its reason.
"""

import ast
from pathlib import Path

import pytest
from policy.test_floors import MODULES, imports

# Serializers that run code when they read, and interpreters of text.
NEVER = (
    "pickle", "cPickle", "_pickle", "shelve", "dill", "cloudpickle", "joblib", "yaml",
    "xmlrpc", "code", "codeop", "runpy", "imp", "pty",
)  # fmt: skip
NETWORK = (
    "socket", "ssl", "http", "urllib", "ftplib", "smtplib", "poplib", "imaplib",
    "telnetlib", "socketserver", "asyncio", "webbrowser", "requests", "httpx",
    "aiohttp", "fsspec", "s3fs",
)  # fmt: skip
MAY_IMPORT = {
    "weights.download": ("http", "socket", "ssl", "urllib"),  # published weights
    "weights.source": ("urllib.parse",),  # takes an address apart
    "jobs.journal": ("socket",),  # the name of this host
    "recipe.terms": ("marshal",),  # hashes bytecode, and reads none
    # Processes of our own program, with a list of arguments and without a shell.
    "isolation": ("subprocess",),
    "workers.pool": ("subprocess",),
    "cli.commands.jobs": ("subprocess",),
}
GUARDED = (*NEVER, *NETWORK, "marshal", "subprocess", "multiprocessing")
BUILTINS = ("eval", "exec", "compile", "__import__", "breakpoint")
SHELLS = ("os.system", "os.popen", "os.execv", "os.execvp", "os.startfile")
MAY_CALL = {
    "__init__": ("import_module",),  # one of the names in its own table
    "backend.load": ("import_module",),  # one of three
    "isolation": ("import_module",),  # of a function of ours, that its parent names
    "zoo.user_models": ("load_model",),  # only with `--trust-model`, in safe mode
}
ALL = {**MODULES, "__init__": MODULES["errors"].parent / "__init__.py"}


def calls(path: Path):
    """Yields (the name of what is called, the call) for a file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                yield function.id, node
            elif isinstance(function, ast.Attribute):
                yield f".{function.attr}", node


def guarded_imports(module: str):
    """Yields the imports of guarded modules where they may not be."""
    allowed = MAY_IMPORT.get(module, ())
    for name, line in imports(ALL[module]):
        is_allowed = any(f"{name}.".startswith(f"{each}.") for each in allowed)
        if name.split(".")[0] in GUARDED and not is_allowed:
            yield f"{module}:{line} imports {name}"


def evaluations(module: str):
    """Yields the calls that run text, or a program by a shell."""
    for name, call in calls(ALL[module]):
        is_dynamic = not all(isinstance(each, ast.Constant) for each in call.args)
        if (
            name in BUILTINS
            or ast.unparse(call.func) in SHELLS
            or any(k.arg == "shell" and _is_on(k.value) for k in call.keywords)
            or (
                name == ".import_module"
                and is_dynamic
                and "import_module" not in MAY_CALL.get(module, ())
            )
        ):
            yield f"{module}:{call.lineno} calls {name}"


def unpicklers(module: str):
    """Yields the calls of what unpickles unless it is told not to."""
    for name, call in calls(ALL[module]):
        function = ast.unparse(call.func)
        keywords = {k.arg: ast.unparse(k.value) for k in call.keywords}
        is_model = name == ".load_model" and function.startswith("keras.")
        if (
            keywords.get("allow_pickle", "False") != "False"
            or (
                function in ("np.load", "numpy.load") and "allow_pickle" not in keywords
            )
            or function in ("torch.load", "joblib.load")
            or (is_model and "load_model" not in MAY_CALL.get(module, ()))
            or (is_model and keywords.get("safe_mode") != "True")
        ):
            yield f"{module}:{call.lineno} calls {name}"


def _is_on(value: ast.expr) -> bool:
    return not (isinstance(value, ast.Constant) and value.value is False)


@pytest.mark.parametrize("rule", [guarded_imports, evaluations, unpicklers])
def test_nothing_that_is_read_runs_or_is_fetched(rule):
    assert [found for module in ALL for found in rule(module)] == []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (guarded_imports, "import pickle"),
        (guarded_imports, "def f():\n  from urllib.request import urlopen"),
        (guarded_imports, "from multiprocessing import Pool"),
        (evaluations, "eval('1')"),
        (evaluations, "import os\nos.system('x')"),
        (evaluations, "import importlib\nimportlib.import_module(x)"),
        (evaluations, "run(x, shell=True)"),
        (unpicklers, "import numpy as np\nnp.load(x)"),
        (unpicklers, "f(x, allow_pickle=True)"),
        (unpicklers, "import torch\ntorch.load(x)"),
        (unpicklers, "import keras\nkeras.saving.load_model(x, safe_mode=True)"),
    ],
)
def test_these_rules_find_something(rule, text, tmp_path, monkeypatch):
    (tmp_path / "x.py").write_text(text)
    monkeypatch.setitem(ALL, "x", tmp_path / "x.py")
    assert len(list(rule("x"))) == 1
