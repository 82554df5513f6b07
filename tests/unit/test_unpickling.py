"""Nothing that the workflow opens can run code: no unpickling, no evaluated text, no shell, anywhere in `scripts/`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PICKLES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
# Functions that unpickle, evaluate or hand a text to a shell, by their last names, whatever module they are taken from.
NEVER = {"read_pickle", "to_pickle", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all", "system", "popen"}
BUILTIN = {"eval", "exec", "compile", "__import__"}
LOADERS = {"SafeLoader", "CSafeLoader", "BaseLoader", "FullLoader"}  # of PyYAML: none of these builds other objects
MODULES = {"torch", "np", "numpy", "yaml"}
# The one place that opens a pickle: weights of a known SHA-256, as tensors alone.
KNOWN = "weight_atlas/datasets/weights.py: torch.load"


def openings(text: str) -> Iterator[str]:
    """What a module could run code by, in words."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names):
                yield from (f"import {one.name}" for one in names if one.name.split(".")[0] in PICKLES)
            case ast.ImportFrom(module=module, names=names) if module:
                root = module.split(".")[0]
                taken = {one.name for one in names}
                if root in PICKLES or root in MODULES and taken & {"load", "load_all"} or taken & NEVER:
                    yield f"from {module} import {', '.join(sorted(taken))}"
            case ast.Call(func=ast.Name(id=name)) if name in BUILTIN | NEVER:
                yield name
            case ast.Call(func=ast.Attribute(attr=name)) if name in NEVER:
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr="load" | "load_all" as name)):
                if module in MODULES and not _is_safe(module, node):
                    yield f"{module}.{name}"
            case ast.keyword(arg="allow_pickle" | "shell", value=value):
                if not (isinstance(value, ast.Constant) and value.value is False):
                    yield f"{node.arg}="
            case ast.keyword(arg="weights_only", value=value):
                if not (isinstance(value, ast.Constant) and value.value is True):
                    yield "weights_only="


def _is_safe(module: str, call: ast.Call) -> bool:
    """Whether a call of `load` builds data alone; those of torch are listed, whatever they say."""
    if module == "yaml":
        given = [*call.args[1:], *(word.value for word in call.keywords if word.arg == "Loader")]
        return len(given) == 1 and isinstance(given[0], ast.Attribute) and given[0].attr in LOADERS
    return module in ("np", "numpy")  # which unpickle nothing unless `allow_pickle` says so


def test_nothing_in_scripts_unpickles_or_evaluates():
    found = [
        f"{path.relative_to(SCRIPTS).as_posix()}: {one}"
        for path in sorted(SCRIPTS.rglob("*.py"))
        for one in openings(path.read_text(encoding="utf-8"))
    ]
    assert found == [KNOWN]


@pytest.mark.parametrize(
    "line",
    [
        *("import pickle", "import _pickle as p", "from joblib import load", "import shelve", "from torch import load"),
        *(
            "torch.load(f)",
            "torch.load(f, weights_only=True)",
            "g(f, weights_only=False)",
            "np.load(f, allow_pickle=True)",
        ),
        *(
            "np.load(f, allow_pickle=a)",
            "yaml.load(f)",
            "yaml.load(f, yaml.Loader)",
            "yaml.load(f, Loader=yaml.UnsafeLoader)",
        ),
        *(
            "yaml.unsafe_load(f)",
            "yaml.load_all(f, yaml.Loader)",
            "pd.read_pickle(f)",
            "from pandas import read_pickle",
        ),
        *(
            "eval(t)",
            "exec(t)",
            "__import__(t)",
            "compile(t, '', 'exec')",
            "os.system(t)",
            "subprocess.run(t, shell=True)",
        ),
    ],
)
def test_each_of_them_would_be_found(line):
    assert list(openings(line))


@pytest.mark.parametrize(
    "line",
    [
        *("np.load(f)", "np.load(f, allow_pickle=False)", "yaml.safe_load(f)", "yaml.load(f, Loader=yaml.SafeLoader)"),
        *("model.eval()", "re.compile(t)", "json.load(f)", "subprocess.run([t])", "safetensors.torch.load_file(f)"),
    ],
)
def test_what_builds_data_alone_is_none_of_them(line):
    assert not list(openings(line))
