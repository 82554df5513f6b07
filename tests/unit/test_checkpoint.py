"""A run that is killed and goes on ends in the same bits as one that is left alone."""

import os
import random
import signal
import time

import pytest
import torch

from tests.unit.test_training import SGD, settings, stage
from weight_atlas import store
from weight_atlas.settings import Settings
from weight_atlas.training import block, checkpoint, engine

# In groups: biases and normalisations do not decay, and every layer has its own rate.
ADAM = {"type": "adamw", "lr": 0.003, "betas": [0.9, 0.999], "weight_decay": 0.1, "decay": "weights", "lr_scale": 0.8}
AUGMENT = {"crop": 2, "flip": True, "rotation": 10.0}


def cell(kind):
    """Cells with what a checkpoint has to keep: dropout, running statistics, an optimizer's state, stages, evidence;
    and with what it need not: kept features."""
    stages = [stage(1, frozen=1), stage(2)]
    made = {
        "momentum": lambda: settings("resnet18", width=0.0625, stages=stages, optimizer=SGD),
        "adam": lambda: settings("vgg11_bn", width=0.02, stages=stages, optimizer=ADAM, augment=AUGMENT),
    }[kind]()
    made["training"]["track"] = made["training"]["cache_features"] = kind == "momentum"
    made["training"]["keep_optimizer"] = True
    return made


def child(toy, out, kind, seconds, before=None):
    """The trainer in a process of its own; `before` prepares it there. Its process id."""
    process = os.fork()
    if process:
        return process
    try:
        checkpoint.SECONDS = seconds
        if before:
            before()
        files = {"data": str(toy / "toy.safetensors"), "card": str(toy / "toy.json"), "weights": None, "parents": []}
        block.train("base-toy", Settings.parse(cell(kind)), range(0, 1), files, "cpu", out)
        os._exit(0)
    except SystemExit as ended:
        os._exit(ended.code)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


def ended(process):
    """How a process ended: its exit status, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def files(out):
    """The bytes of everything that a replicate leaves, its times apart."""
    found = {path.relative_to(out): path.read_bytes() for path in (out / "snapshots").rglob("*.safetensors")}
    timeless = ("seconds", "images_per_second")
    rows = store.metrics_path(out, 0).read_text().splitlines()
    columns = [at for at, name in enumerate(rows[0].split(",")) if name not in timeless]
    return found | {"metrics": [[row.split(",")[at] for at in columns] for row in rows]}


@pytest.fixture(scope="module", params=["momentum", "adam"])
def alone(request, toy, tmp_path_factory):
    """(kind, what an uninterrupted run leaves)."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("alone")
    assert ended(child(toy, out, request.param, 60)) == 0
    return request.param, files(out)


def slowly(seconds):
    """Makes every step of the process take so much longer, so that there is time to stop it."""

    def prepare():
        step = engine.Run.train_step
        engine.Run.train_step = lambda *given: (time.sleep(seconds), step(*given))[1]

    return prepare


def finished(out, expected):
    assert files(out) == expected
    left = {path.name for path in out.iterdir()}
    assert left == {"snapshots"}, "no stray files"


def test_killed_at_random_moments(alone, toy, tmp_path):
    kind, expected = alone
    draw, kills = random.Random(kind), 0
    while True:
        process = child(toy, tmp_path, kind, 0.0, slowly(0.12))
        until = time.monotonic() + (draw.uniform(0.0, 0.15) if kills < 16 else 60)
        status = None
        while status is None and time.monotonic() < until:
            done, found = os.waitpid(process, os.WNOHANG)
            status = os.waitstatus_to_exitcode(found) if done else None
            time.sleep(0.002)
        if status is None:
            os.kill(process, signal.SIGKILL)
            status = ended(process)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        kills += 1
    assert kills >= 16, "with both kinds of cells 32 kills at least"
    finished(tmp_path, expected)


def test_killed_at_every_write(alone, toy, tmp_path):
    """Before and after each of the renames that put a file into place, one after the other."""
    kind, expected = alone

    def at(count, after):
        """Makes the process kill itself at its `count`th rename."""

        def prepare():
            rename, seen = os.replace, [0]

            def deadly(*paths):
                seen[0] += 1
                if seen[0] == count and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                rename(*paths)
                if seen[0] == count:
                    os.kill(os.getpid(), signal.SIGKILL)

            store.os.replace = deadly

        return prepare

    count, after, kills = 1, False, 0
    while (status := ended(child(toy, tmp_path, kind, 0.0, at(count, after)))) != 0:
        assert status == -signal.SIGKILL
        kills, count, after = kills + 1, count % 7 + 1, not after
        assert kills < 200
    assert kills > 10
    finished(tmp_path, expected)


def test_asked_to_stop_it_keeps_what_is_done(alone, toy, tmp_path, capfd):
    kind, expected = alone

    def asked():
        """Has the process asked to stop in the second step after its first epoch."""
        step, steps = engine.Run.train_step, []

        def once(*given):
            steps.extend([1] if store.metrics_path(tmp_path, 0).exists() else [])
            if len(steps) == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return step(*given)

        engine.Run.train_step = once

    assert ended(child(toy, tmp_path, kind, 60, asked)) == 143 and checkpoint.path(tmp_path, 0).exists()
    assert "asked to stop: what is done is kept" in capfd.readouterr().out
    assert ended(child(toy, tmp_path, kind, 60)) == 0
    assert "seed 0  goes on after" in capfd.readouterr().out
    finished(tmp_path, expected)


@pytest.mark.parametrize("harm", ["cut short", "one bit", "one digit", "another run"])
def test_a_checkpoint_that_cannot_be_used_is_reported_and_left(alone, toy, tmp_path, capfd, harm):
    kind, expected = alone

    def stop():
        engine.Run.stopping = True

    assert ended(child(toy, tmp_path, kind, 60, stop)) == 143
    path = checkpoint.path(tmp_path, 0)
    held = path.read_bytes()
    if harm == "cut short":
        path.write_bytes(held[: len(held) // 2])
    elif harm == "one digit":  # of what it had told so far
        at = held.index(b"valid_accuracy") + len('valid_accuracy\\": 0.')
        assert held[at : at + 1].isdigit()
        path.write_bytes(held[:at] + b"%d" % ((held[at] - 47) % 10) + held[at + 1 :])
    elif harm == "one bit":
        path.write_bytes(held[:-9] + bytes([held[-9] ^ 1]) + held[-8:])
    else:
        tensors, facts = checkpoint.load(path, checkpoint.identity(cell(kind), 0, torch.device("cpu")))
        checkpoint.save(path, tensors, facts, "somebody else's")
    assert ended(child(toy, tmp_path, kind, 60)) == 0
    said = capfd.readouterr().out
    why = {
        "cut short": "not a whole safetensors file",
        "one bit": "damaged",
        "one digit": "damaged",
        "another run": "of another run",
    }[harm]
    assert "checkpoint_seed0.safetensors: not used, since" in said and why in said and "goes on" not in said
    finished(tmp_path, expected)
