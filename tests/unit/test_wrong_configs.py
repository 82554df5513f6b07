"""Wrong configs, and the one line that a user gets for each before anything runs: the file, the place, what to do."""

import importlib
import os
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import Workflow, tiny
from weight_atlas import perturbations
from weight_atlas.networks import architectures
from weight_atlas.plan import command_line, commands

BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 40))

# What is no config file -> the line after "config: mine.yaml".
FILES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", ": is empty; a config begins with a name, such as 'name: small'"),
    "comments": ("# nothing\n\n", ": is empty; a config begins with a name, such as 'name: small'"),
    "a list": ("- name\n", ": holds a list; allowed: keys with their values, such as 'name: small'"),
    "a word": ("hello\n", ": holds one value; allowed: keys with their values, such as 'name: small'"),
    "two documents": ("name: a\n---\nname: b\n", ", line 2: a second document begins (---); give one file for each"),
    "a tab": ("name: a\ntraining:\n\tepochs: 3\n", ", line 3, column 1: is no YAML: a tab; indent with spaces"),
    "an open mapping": (
        "name: a\nnetworks: {lenet1: {}\n",
        ", line 3, column 1: is no YAML: did not find expected ',' or '}' while parsing a flow mapping that begins in "
        "line 2; correct it there or just above",
    ),
    "an open quote": ('name: "a\n', ", line 2, column 1: is no YAML: found unexpected end of stream while scanning"),
    "a colon too many": ("name: a: b\n", ", line 1, column 8: is no YAML: mapping values are not allowed"),
    "indented": ("name: a\n  title: b\n", ", line 2, column 8: is no YAML: mapping values are not allowed"),
    "an @": ("name: @a\n", ", line 1, column 7: is no YAML: found character that cannot start any token"),
    "a star": ("name: a\npath: *.png\n", ", line 2, column 8: is no YAML: did not find expected alphabetic"),
    "an unknown alias": ("name: *x\n", ", line 1, column 7: is no YAML: found undefined alias; correct it there"),
    "Latin-1": ("title: Zürich\n".encode("latin-1"), ", line 1: is not UTF-8 but another encoding (byte 0xfc); save"),
    "UTF-16": ("name: a\n".encode("utf-16"), ", line 1: is not UTF-8 but UTF-16 (byte 0xff); save it as UTF-8"),
    "a control character": ("name: a\x00\n", ", line 1: has a control character (number 0); leave it out"),
    "a key twice": ("name: a\nname: b\n", ", line 2: the key 'name' is there twice, first in line 1; leave one out"),
    "an inner key twice": (
        "name: a\ntraining:\n  epochs: 1\n  epochs: 2\n",
        ", line 4: the key 'epochs' is there twice in training, first in line 3; leave one out",
    ),
    "JSON with a key twice": ('{"name": "a", "name": "b"}', ": the key 'name' is there twice in one mapping; leave"),
    "code": ("name: !!python/object/apply:os.system [ls]\n", ", line 1, column 7: has a tag (!), which would make"),
    "a template": ("__use_yte__: true\nname: a\n", ", line 1: '__use_yte__' would run code; a config has values alone"),
    "an alias to itself": ("name: a\nx: &a [*a]\n", ", line 2: x.0 holds itself; leave the alias out"),
    "aliases without end": (BOMB, ", line 6: a5 has more than 100,000 values, aliases written out; allowed: fewer"),
    "nested without end": ("a: " + "[" * 9999, ", line 1: is nested deeper than 20 levels; write it flatter"),
    "a huge file": ("# much\n" * 200_000, ": has 1,400,000 bytes, which no config has; allowed: up to 1,000,000"),
    "a huge number": (
        "name: a\nreplicates: " + "9" * 5000,
        ", line 2: replicates has a value that cannot be read (Exc",
    ),
    "a day that is none": ("title: 2024-02-31\n", ", line 1: title has a value that cannot be read (day is out of ran"),
    "a date": ("title: 2024-01-01\n", ": title: 2024-01-01 is no text; write it in quotes"),
    "a number as a key": ("1: a\n", ": the name 1 is no text; write it in quotes"),
    "a list as a key": ("? [a, b]\n: c\n", ", line 1: a key is a list or a mapping; give a text"),
    "half a character": ('{"name": "\\ud800"}', ": name: '\\ud800' is not allowed; give text without half a character"),
}

D = "definitions: {dynamics: "
TRANSFER = D + "{transfer: {t: {base: digits, target: digits-0-4"

# What is laid over a config that works -> the line after "config: mine.yaml: ".
WRONG: dict[str, tuple[str, str]] = {
    # nothing where something belongs
    "no name": ("name:", "name: is empty; give it a value, or leave the key out"),
    "no networks": ("networks:", "networks: is empty; give it a value, or leave the key out"),
    "no network": ("networks: {lenet1: }", "networks.lenet1: is empty; give it a value"),
    "no training": ("training:", "training: is empty; give it a value"),
    "no data set": ("datasets: {digits: }", "datasets.digits: is empty; give it a value"),
    "no optimizer": ("optimizers: {sgd: }", "optimizers.sgd: is empty; give it a value"),
    "no study": (D + "}", "definitions.dynamics: is empty; give it a value"),
    "no grid": (D + "{grid: }}", "definitions.dynamics: names neither `grid` nor `experiments`; allowed: one of them"),
    "no level": (D + "{vary: {rate: {a: }}}}", "definitions.dynamics.vary.rate.a: is empty; give it a value"),
    "no rule": (D + "{adjust: [{where: }]}}", "definitions.dynamics.adjust.0.where: is empty; give it a value"),
    "no label": (D + "{exclude: [{network: }]}}", "definitions.dynamics.exclude.0.network: is empty; give it a value"),
    # other kinds of values
    "a list of data sets": ("datasets: [digits]", "datasets: ['digits'] is not allowed; give a mapping, such as {key"),
    "one data set": (D + "{grid: {dataset: digits}}}", "definitions.dynamics.grid.dataset: 'digits' is not allowed; g"),
    "a grid of text": (D + "{grid: digits}}", "definitions.dynamics.grid: 'digits' is not allowed; give a mapping"),
    "levels in a list": (D + "{vary: {rate: [1]}}}", "definitions.dynamics.vary.rate: [1] is not allowed; give a map"),
    "a name of digits": ("name: 010", "name: 8 is not allowed; give text (a number or a date as text is written in q"),
    "a fast rate": ("optimizers: {sgd: {lr: fast}}", "optimizers.sgd.lr: 'fast' is not allowed; give a number"),
    "a rate that is none": ("optimizers: {sgd: {lr: .nan}}", "optimizers.sgd.lr: nan is not allowed; give a finite"),
    "a rate without end": ("optimizers: {sgd: {lr: .inf}}", "optimizers.sgd.lr: inf is not allowed; give a finite"),
    "a rate of nothing": ("optimizers: {sgd: {lr: 0}}", "optimizers.sgd.lr: 0 is not allowed; give a number above 0"),
    "half an epoch": ("training: {epochs: 0.5}", "training.epochs: 0.5 is not allowed; give a whole number"),
    "a thousand as a float": ("replicates: 1e3", "replicates: '1e3' is not allowed; give a whole number"),
    # unknown keys and names
    "a key unknown": ("epochs: 3", "unknown key 'epochs'; allowed: name, title, text, data_root"),
    "a key misspelt": ("training: {batchsize: 3}", "training: unknown key 'batchsize'; did you mean 'batch_size'?"),
    "a key misspelt deep": (
        D + "{vary: {batch: {small: {training: {batchsize: 3}}}}}}",
        "definitions.dynamics.vary.batch.small.training: unknown key 'batchsize'; did you mean 'batch_size'?",
    ),
    "an option unknown": ("networks: {lenet1: {depth: 3}}", "networks.lenet1: unknown key 'depth'; allowed: archit"),
    "a network unknown": ("networks: {a: {architecture: lenet9}}", "networks.a: there is no architecture 'lenet9'; d"),
    "a network misspelt": (
        D + "{grid: {network: [lenet11]}, exclude: [], perturb: []}}",
        "definitions.dynamics.grid.network: 'lenet11' is not one of the networks; did you mean 'lenet1'?",
    ),
    "a data set misspelt": (
        D + "{grid: {dataset: [digts]}}}",
        "definitions.dynamics.grid.dataset: 'digts' is not one of the datasets; did you mean 'digits'?",
    ),
    "an optimizer misspelt": (
        D + "{grid: {optimizer: [sdg]}, perturb: []}}",
        "definitions.dynamics.grid.optimizer: 'sdg' is not one of the optimizers; allowed: sgd, adam",
    ),
    "an init misspelt": (
        D + "{grid: {init: [pretraind]}, exclude: [], perturb: []}}",
        "definitions.dynamics.grid.init: 'pretraind' is not one of the inits; did you mean 'pretrained'?",
    ),
    "a level's data set": (
        D + "{vary: {step: {a: {dataset: nope}}}}}",
        "definitions.dynamics.vary.step.a.dataset: 'nope' is not one of the datasets; allowed: digits, digits-0-4",
    ),
    # rules that fit nothing
    "an excluded label": (
        D + "{exclude: [{network: lenet2}]}}",
        "definitions.dynamics.exclude.0.network: no cell here has the label 'lenet2'; did you mean 'lenet1'?",
    ),
    "an excluded axis": (
        D + "{exclude: [{net: lenet1}]}}",
        "definitions.dynamics.exclude.0: 'net' is not an axis; allowed: dataset, network, init, optimizer",
    ),
    "everything excluded": (D + "{exclude: [{dataset: digits}]}}", "definitions.dynamics.exclude: leaves no cell of"),
    "an adjusted label": (
        D + "{adjust: [{where: {init: kaiming}, set: {lr: 1}}]}}",
        "definitions.dynamics.adjust.0.where.init: no cell here has the label 'kaiming'; allowed: kaiming_uniform, pr",
    ),
    "an adjusted key": (
        D + "{adjust: [{where: {optimizer: adam}, set: {momentum: 0.9}}]}}",
        "definitions.dynamics.adjust.0.set: unknown key 'momentum'; allowed: type, lr, lr_scale, weight_decay, decay",
    ),
    "a checkpoint's label": (
        D + "{checkpoints: [{where: {init: kaiming_unifrom}, epochs: {a: 0}}]}}",
        "definitions.dynamics.checkpoints.0.where.init: no cell here has the label 'kaiming_unifrom'; did you mean",
    ),
    "a perturbed label": (
        D + "{perturb: {where: {network: lenet9}}}}",
        "definitions.dynamics.perturb.where.network: no cell here has the label 'lenet9'; did you mean 'lenet1'?",
    ),
    "a transferred label": (
        TRANSFER + ", where: {network: lenet5}}}}}",
        "definitions.dynamics.transfer.t.where.network: no cell here has the label 'lenet5'; did you mean 'lenet1'?",
    ),
    "a base": (
        D + "{transfer: {t: {base: digit, target: digits}}}}",
        "definitions.dynamics.transfer.t.base: no cell of the grid has the data set 'digit'; did you mean 'digits'?",
    ),
    "a target": (
        D + "{transfer: {t: {base: digits, target: digit}}}}",
        "definitions.dynamics.transfer.t.target: 'digit' is not one of the datasets; did you mean 'digits'?",
    ),
    # names that cannot be told apart
    "networks by capitals": (
        "networks: {LeNet1: {architecture: lenet1}}",
        "networks: 'lenet1' and 'LeNet1' differ only in capitals or signs, which names of files may not keep; rename "
        "one, such as 'LeNet1-2'",
    ),
    "optimizers by signs": ("optimizers: {a.b: {type: sgd}, a-b: {type: sgd}}", "optimizers: 'a.b' and 'a-b' differ o"),
    "levels by capitals": (D + "{vary: {rate: {A: {}, a: {}}}}}", "definitions.dynamics.vary.rate: 'A' and 'a' differ"),
    "an axis as a column": (
        D + "{vary: {epoch: {a: {}}}}}",
        "definitions.dynamics.vary: 'epoch' is a column of the result tables; give the axis another name, such as "
        "'my-epoch'",
    ),
    "the axis settings": (D + "{vary: {settings: {a: {}}}}}", "definitions.dynamics.vary: 'settings' is a column of"),
    "the axis seed": (D + "{vary: {seed: {a: {}}}}}", "definitions.dynamics.vary: 'seed' is a column of the result"),
    "the axis value": (D + "{vary: {value: {a: {}}}}}", "definitions.dynamics.vary: 'value' is a column of the result"),
    "the axis Epoch": (D + "{vary: {Epoch: {a: {}}}}}", "definitions.dynamics.vary: 'Epoch' is a column of the result"),
    "the axis Dataset": (D + "{vary: {Dataset: {a: {}}}}}", "definitions.dynamics.vary: 'Dataset' is an axis already;"),
    "an axis twice": (D + "{vary: {network: {a: {}}}}}", "definitions.dynamics.vary: 'network' is an axis already; gi"),
    # absurd sizes
    "epochs": (
        "training: {epochs: 1000000000000000000}",
        "training.epochs: 1000000000000000000 is not allowed; give at",
    ),
    "replicates": (
        "replicates: 1" + 30 * "0",
        "replicates: a number of more than 30 digits is not allowed; give at mo",
    ),
    "a batch": (
        "training: {batch_size: 1000000000000}",
        "training.batch_size: 1000000000000 is not allowed; give at m",
    ),
    "a width": (
        "networks: {lenet1: {width: 1000000}}",
        "networks.lenet1.width: 1000000 is not allowed; give at most 4",
    ),
    "a size": (
        "datasets: {digits: {size: 1000000000}}",
        "datasets.digits.size: 1000000000 is not allowed; give at mos",
    ),
    "outputs": ("networks: {lenet1: {outputs: 10000000000}}", "networks.lenet1.outputs: 10000000000 is not allowed; g"),
    "threads": ("networks: {lenet1: {threads: 100000}}", "networks.lenet1.threads: 100000 is not allowed; give at mos"),
    "a seed": (
        "datasets: {digits: {seed: 1" + 25 * "0" + "}}",
        "datasets.digits.seed: 10000000000000000000000000 is n",
    ),
    "epochs of stages": (
        "training: {stages: [" + "{epochs: 100000}, " * 1000 + "]}",
        "training.stages: has 100,000,000 epochs in all; allowed: up to 100,000",
    ),
    "levels": (
        D + "{vary: {" + ", ".join(f"a{n}: {{x: {{}}, y: {{}}}}" for n in range(20)) + "}}}",
        "definitions.dynamics.grid: has 8,388,608 combinations; allowed: up to 20,000",
    ),
    "a long name": ("networks: {" + 300 * "a" + ": {}}", "networks: the name 'aaaaaaaaaaaaaaaaaaaaaaaaaaa...aaaaaaaa"),
    # what cannot train
    "a milestone too late": (
        "training: {schedule: {type: multistep, milestones: [50]}}",
        "training.schedule.milestones: 50 is never reached, there are 2 epochs; allowed: 1 to 1",
    ),
    "a warmup without end": (
        "training: {schedule: {type: cosine, warmup: 3}}",
        "training.schedule.warmup: 3 of 2 epochs; allowed: 0 to 2",
    ),
    "rates too few": (
        "training: {schedule: {type: table, rates: [0.1]}}",
        "training.schedule.rates: 1 rates for 2 epochs; allowed: one each",
    ),
    "all layers frozen": (
        "training: {stages: [{epochs: 1, frozen: 3}]}",
        "training.stages.0.frozen: 3 of 3 weight layers leaves nothing to train; allowed: 0 to 2",
    ),
    "all layers frozen by name": (
        "training: {stages: [{epochs: 1, frozen: [conv1, conv2, fc]}]}",
        "training.stages.0.frozen: all 3 weight layers leaves nothing to train; leave some out",
    ),
    "a frozen layer misspelt": (
        "training: {stages: [{epochs: 1, frozen: [conv9]}]}",
        "training.stages.0.frozen: 'conv9' is no layer; did you mean 'conv2'?",
    ),
    "a batch of one": (
        "training: {batch_size: 1}",
        "training.batch_size: one image per batch leaves the BatchNorm 'layer4.0.bn1' one value per channel (its map "
        "is 1 x 1), of which it has no variance; give 2 or more",
    ),
    "a batch of one for a level": (
        D + "{vary: {batch: {one: {training: {batch_size: 1}}}}}}",
        "definitions.dynamics.vary.batch.one.training.batch_size: one image per batch leaves the BatchNorm",
    ),
    "a snapshot too late": ("training: {snapshots: [9]}", "training.snapshots: there is no epoch 9; allowed: 0 to 2"),
    "a checkpoint too late": (
        D + "{checkpoints: [{epochs: {a: 9}}]}}",
        "definitions.dynamics.checkpoints.0.epochs.a: epoch 9 of the cell is not kept; its kept epochs: 0 to 2",
    ),
    "too many layers": (TRANSFER + ", depths: [99]}}}}", "definitions.dynamics.transfer.t.depths: 99 of 3 weight laye"),
    "a class unknown": (
        "datasets: {digits: {classes: [eleven]}}",
        "datasets.digits: classes: 'eleven' is no class of this data set; allowed are the names 0, 1, 2, 3, 4, 5, 6",
    ),
    "a folder that is gone": (
        "datasets: {mine: {source: folder, path: nothere}}\n" + D + "{grid: {dataset: [mine]}}}",
        "datasets.mine: dataset folder: data/downloads/nothere not found (data_root is data/downloads); set",
    ),
}

# What is typed after --config -> the line after "config: ".
TYPED: dict[str, tuple[list[str], str]] = {
    "a mapping": (['training={"epochs": 0}'], "--config: training.epochs: 0 is not allowed; give a number above 0"),
    "text for a number": (['training={"epochs": "x"}'], "--config: training.epochs: 'x' is not allowed; give a whole"),
    "a point": (["training.epochs=0"], "--config: training.epochs: 0 is not allowed; give a number above 0"),
    "nothing": (["data_root="], "--config: data_root: is empty; give it a value, or leave the key out"),
    "nothing at a point": (["training.epochs="], "--config: training.epochs: is empty; give it a value"),
    "a key misspelt": (["training.epochz=3"], "mine.yaml, --config: training: unknown key 'epochz'; did you mean 'ep"),
    "a value for a mapping": (["training=3"], "--config: training: 3 is not allowed; give a mapping, such as {key: va"),
    "an open mapping": (["training={epochs: 3"], "--config: training: '{epochs: 3' is not allowed; give a mapping"),
    "a value below a value": (["training.epochs.x=3"], "mine.yaml, --config: training.epochs: {'x': 3} is not allowe"),
    "no value": (["training"], "'training' stands after --config and is no key=value; give key=value"),
    "a target": (["plan"], "'plan' stands after --config and is no key=value; give the target first: snakemake plan"),
    "no key": (["=3"], "--config: '' is no key; give key=value, or key.inner=value"),
    "two points": (["training..epochs=3"], "--config: 'training..epochs' is no key; give key=value, or key.inner=val"),
    "an unknown key": (["epochs=3"], "--config: unknown key 'epochs'; allowed: name, title"),
    "a letter": (["a=1"], "--config: unknown key 'a'; allowed: name, title"),
    "a key twice": (["replicates=3", "replicates=4"], "--config: replicates is given twice, of which the last would"),
    "an inner key twice": (['training={"epochs": 3, "epochs": 4}'], "--config: training, line 1: the key 'epochs' is"),
    "nested without end": (["title=" + "[" * 3000], "--config: title, line 1: is nested deeper than 20 levels; write"),
    "a study misspelt": (["studies=dynamix"], "--config: studies: 'dynamix' is not defined; did you mean 'dynamics'?"),
    "a device": (["device=gpu"], "--config: device: 'gpu' is not allowed; give 'auto', 'cpu' or 'cuda'"),
    "a flag": (["retry_failed=maybe"], "--config: retry_failed: 'maybe' is not allowed; give true or false"),
    "a list": (
        ["definitions.dynamics.grid.dataset=[digits, nope]"],
        "--config: definitions.dynamics.grid.dataset: 'nope' is not one of the datasets; allowed: digits, digits-0-4",
    ),
    "in the file": (["training.epochs=3", "name=x"], "mine.yaml: replicates: 0 is not allowed; give a number above 0"),
}

HEAD = "def layers(table, classes, *, width=1.0):\n"
TAIL = "    table.flatten('flat')\n    table.linear('fc', classes)\n"

# A file that a user adds to the networks, mine.py -> the line after "config: mine.yaml: networks.mine: ".
NETWORKS: dict[str, tuple[str, str]] = {
    "no Python": ("def layers(:\n", "added/mine.py, line 1: invalid syntax; correct the file"),
    "no such package": ("import nonsense\n", "added/mine.py, line 1: ModuleNotFoundError: No module named 'nonsense'"),
    "no layers": ("x = 1\n", "architecture 'mine': its file has no layers(table, classes, *, width=1.0); add it"),
    "no function": ("layers = 3\n", "architecture 'mine': its file has no layers(table, classes, *, width=1.0); add"),
    "no width": ("def layers(table, classes):\n" + TAIL, "architecture 'mine': its layers() takes no width; begin it"),
    "no default": (
        HEAD.replace("=1.0", "=1.0, blocks") + TAIL,
        "architecture 'mine': option 'blocks' of its layers() n",
    ),
    "it raises": (HEAD + "    1 / 0\n", "added/mine.py, line 2: ZeroDivisionError: division by zero; correct it"),
    "it ends": (HEAD + "    raise SystemExit(3)\n", "added/mine.py, line 2: SystemExit: 3; correct it"),
    "it calls itself": (
        HEAD + "    layers(table, classes)\n",
        "added/mine.py, line 2: RecursionError: maximum recursi",
    ),
    "no such layer": (
        HEAD + "    table.conv3d('a', 8, 3)\n",
        "added/mine.py, line 2: AttributeError: 'Table' object has no attribute 'conv3d'; correct it",
    ),
    "an argument too few": (
        HEAD + "    table.conv('a', 8)\n",
        "added/mine.py, line 2: TypeError: Table.conv() missing",
    ),
    "an argument of another type": (HEAD + "    table.dropout('a', 'x')\n", "added/mine.py, line 2: TypeError: '<='"),
    "channels of 2.4": (
        HEAD + "    table.conv('a', 8 * 0.3, 3)\n" + TAIL,
        "layer 'a' (Conv2d): 2.4 is no size; give a whole number, such as scaled(64, width)",
    ),
    "outputs of 5.0": (HEAD + "    table.linear('a', 10 / 2, input='input')\n", "layer 'a' (Linear): needs a vector"),
    "features of 5.0": (
        HEAD + "    table.flatten('f')\n    table.linear('a', 10 / 2)\n",
        "layer 'a' (Linear): 5.0 is no size; give a whole number, such as scaled(64, width)",
    ),
    "no channels": (HEAD + "    table.conv('a', 0, 3)\n", "layer 'a' (Conv2d): 0 is no size; give a whole number, suc"),
    "a kernel of 2.5": (
        HEAD + "    table.conv('a', 8, 2.5)\n",
        "layer 'a': kernel_size is 2.5; allowed: a whole number from 1, or a pair",
    ),
    "a stride of 0": (HEAD + "    table.conv('a', 8, 3, stride=0)\n", "layer 'a': stride is 0; allowed: a whole numbe"),
    "a padding below 0": (
        HEAD + "    table.conv('a', 8, 3, padding=-1)\n",
        "layer 'a': padding is -1; allowed: a whol",
    ),
    "a pool of padding": (HEAD + "    table.maxpool('a', 2, padding=2)\n", "layer 'a' (MaxPool2d): padding is (2, 2)"),
    "three pads": (HEAD + "    table.zeropad('a', (1, 2, 3))\n", "layer 'a' (ZeroPad2d): padding is (1, 2, 3); allow"),
    "a name twice": (HEAD + "    table.relu('a')\n    table.relu('a')\n", "layer 'a' (ReLU): the name is taken; give"),
    "a name for a file": (HEAD + "    table.relu('a/b')\n", "layer 'a/b' (ReLU): is no name; give letters, digits"),
    "a name of torch's": (
        HEAD + "    table.relu('a.forward')\n",
        "layer 'a.forward' (ReLU): torch keeps 'forward' for",
    ),
    "an input unknown": (HEAD + "    table.relu('a', input='b')\n", "layer 'a': it is fed by 'b', which is no layer a"),
    "no classes in the end": (HEAD + "    table.flatten('f')\n", "architecture 'mine': its last layer gives (784,); i"),
    "layers without end": (
        HEAD + "    n = 0\n    while True:\n        table.relu(f'r{n}')\n        n += 1\n",
        "layer 'r10000' (ReLU): is number 10,001; allowed: up to 10,000 layers",
    ),
    "a huge layer": (
        HEAD + "    table.flatten('f')\n    table.linear('a', 10**12)\n    table.linear('fc', classes)\n",
        "mine has 795,000,000,000,010 parameters; allowed: up to 10,000,000,000; lower its width or its options",
    ),
    "a size in words": ("MIN_SIZE = 'big'\n" + HEAD + TAIL, "architecture 'mine': MIN_SIZE is 'big'; allowed: a whole"),
    "half a pixel": ("MIN_SIZE = 32.5\n" + HEAD + TAIL, "architecture 'mine': MIN_SIZE is 32.5; allowed: a whole numb"),
}


@pytest.fixture
def said(tmp_path, monkeypatch):
    """A function that gives the line which a config file of some text, with settings typed after --config, ends in: all
    that the profile and the Snakefile do with them, in this process."""
    import snakemake.api  # noqa: F401 (first: the others import it in a circle)
    from snakemake.cli import parse_config
    from snakemake.common.configfile import load_configfile
    from snakemake.utils import update_config

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execv", lambda *_: None)  # which would start it again without points in keys

    def run(text: str | bytes, *settings: str) -> str:
        Path("mine.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(SystemExit) as ended:
            command_line.check(["plan", "--config", *settings, "--configfile", "mine.yaml"], Path("config.yaml"))
            given = parse_config([command_line.nested(word) for word in settings])
            config = dict(load_configfile("mine.yaml"))
            update_config(config, given)
            config.update(command_line.typed(config, given))
            commands.plan_or_exit(config, ["mine.yaml"], given)
        line = str(ended.value.code)
        assert "\n" not in line
        return line

    return run


def over(patch: str) -> str:
    """The tiny config with a patch in YAML laid over it."""
    from snakemake.utils import update_config

    config = tiny()
    update_config(config, yaml.safe_load(patch))
    return yaml.safe_dump(config, sort_keys=False)


@pytest.mark.parametrize("case", FILES, ids=str)
def test_what_is_no_config_file(said, case):
    text, line = FILES[case]
    assert said(text).startswith(f"config: mine.yaml{line}")


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_what_no_config_says(said, case):
    patch, line = WRONG[case]
    assert said(over(patch)).startswith(f"config: mine.yaml: {line}")


@pytest.mark.parametrize("case", TYPED, ids=str)
def test_what_is_typed(said, case):
    settings, line = TYPED[case]
    assert said(over("replicates: 0" if case == "in the file" else "{}"), *settings).startswith(f"config: {line}")


@pytest.fixture
def added(tmp_path, monkeypatch):
    """A folder beside the networks and the perturbations of the library, for files that a user adds."""
    folder = tmp_path / "added"
    folder.mkdir()
    for package in (architectures, perturbations):
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        sys.modules.pop(f"{package.__name__}.mine", None)  # of an earlier test
    importlib.invalidate_caches()
    yield folder
    for package in (architectures, perturbations):
        sys.modules.pop(f"{package.__name__}.mine", None)


@pytest.mark.parametrize("case", NETWORKS, ids=str)
def test_a_network_of_the_users(said, added, case):
    code, line = NETWORKS[case]
    (added / "mine.py").write_text(code)
    grid = "grid: {network: [mine], init: [default], optimizer: [sgd]}, exclude: [], perturb: []"
    text = over(f"networks: {{mine: {{}}}}\n{D}{{{grid}}}}}")
    assert said(text).startswith(f"config: mine.yaml: networks.mine: {line}")


@pytest.mark.parametrize(
    "code, line",
    [
        ("def perturb(:\n", "perturbations.flip.type: added/mine.py, line 1: invalid syntax; correct the file"),
        ("1 / 0\n", "perturbations.flip.type: added/mine.py, line 1: ZeroDivisionError: division by zero; correct it"),
        ("x = 1\n", "perturbations.flip.type: type 'mine': its file has no perturb(weights, names); add it"),
        ("def perturb(weights, names):\n    pass\n", "perturbations.flip: unknown key 'factor'; allowed: type, layers"),
    ],
)
def test_a_perturbation_of_the_users(said, added, code, line):
    (added / "mine.py").write_text(code)
    text = over("perturbations: {flip: {type: mine, factor: 2}}")
    assert said(text).startswith(f"config: mine.yaml: {line}")


def test_the_table_is_long_and_the_config_below_it_works(said):
    assert sum(map(len, (FILES, WRONG, TYPED, NETWORKS))) >= 100
    with pytest.raises(pytest.fail.Exception):
        said(over("{}"), "training.epochs=1")


@pytest.mark.parametrize("words", [["--config", 'training={"epochs": 0}'], ["--config", "training.epochs=0"]])
def test_snakemake_says_the_same_before_any_job(tmp_path, words):
    workflow = Workflow(tmp_path, tiny())
    done = workflow.run("all", *words, check=False)
    lines = [line for line in done.stdout.splitlines() if "Using workflow specific profile" not in line]
    assert lines == ["config: --config: training.epochs: 0 is not allowed; give a number above 0"], done.stdout
    assert done.returncode == 1 and not (tmp_path / "results").exists()
