"""The training engine: one start, then the same training, for every kind of run."""

import csv
import math
import time
from pathlib import Path

import torch
from torch.nn import functional

from atlas import store
from atlas.learn import starts, streams
from atlas.learn.data import Pictures, Split
from atlas.learn.feed import Feed
from atlas.learn.rates import rate, stopped
from atlas.learn.track import Evidence
from atlas.networks import build
from atlas.networks.table import Table

# A loss above so many nats is no training any more, though it may stay finite for ever (units die, biases explode).
DIVERGED = 1000.0
EVAL_BATCH = 500
REPORT_SECONDS = 5.0


class Run:
    """One replicate of a cell: its model, its optimizer, and what is recorded of it."""

    def __init__(self, cell_id: str, settings: dict, seed: int, pictures: Pictures, device: torch.device, out: Path):
        self.cell_id, self.settings, self.seed, self.pictures = cell_id, settings, seed, pictures
        self.device, self.out, self.training = device, out, settings["training"]
        self.stream = streams.of(settings["start"])
        shape = settings["input"]["channels"], settings["input"]["size"]
        self.model, self.table = build.build(settings["network"], *shape, settings["classes"])
        self.feed = Feed(pictures, self.training, seed, self.stream)
        self.steps = _steps(len(self.feed), self.training["batch_size"], self.table)
        self.penalty = self.training.get("penalty")
        self.penalised = penalised(self.table, self.penalty["layers"]) if self.penalty else []
        self.rows: list[dict] = []
        self.evidence: Evidence | None = None
        self.best = (-1.0, 0)
        self.now, self.seen, self.busy, self.began = 0.0, 0, 0.0, time.monotonic()

    def train(self, file: str | None) -> dict:
        """Train from the start (loaded from `file` where it is not drawn) to the end or to divergence.

        Writes snapshots and `metrics.csv` below `out`; returns the replicate's record for `run.json`.
        """
        noted = starts.begin(self.model, self.table, self.settings["start"], self.seed, file)
        start = starts.fingerprint(self.model)
        self.model.to(self.device, memory_format=torch.channels_last)
        self.evidence = Evidence(self.model) if self.training["track"] else None
        self._record(0, None, None, (math.nan, math.nan), 0.0)
        epoch, diverged, early = 0, False, False
        for number, stage in enumerate(self.training["stages"]):
            optimizer = self._enter(stage)
            if number == 0 and self.settings["start"].get("state") == "carried":
                carry(optimizer, dict(self.model.named_parameters()), Path(file).with_name("optimizer.safetensors"))
            while not (diverged or self._over(number)):
                epoch += 1
                began = time.monotonic()
                trained = self._epoch(epoch, number, optimizer)
                diverged = not self._record(epoch, number, self.now, trained, time.monotonic() - began)
            if diverged:
                break
            if len(self._losses(number)) < stage["epochs"]:
                early = True
                print(f"seed {self.seed}  epoch {epoch}: the validation loss falls no more, the stage ends", flush=True)
        if self.evidence:
            self.evidence.save(store.track_path(self.out, self.seed))
        if self.training["keep_optimizer"]:
            state = optimizer_state(optimizer, dict(self.model.named_parameters()))
            store.save_tensors(store.optimizer_path(self.out, self.seed), state)
        return {
            "seed": self.seed,
            "status": "diverged" if diverged else "done",
            "cause": f"the loss was not finite, or above {DIVERGED:g}, in epoch {epoch}" if diverged else None,
            "epochs": epoch,
            "stopped_early": early,
            "best_epoch": self.best[1],
            "wall_seconds": round(time.monotonic() - self.began, 3),
            "images_per_second": round(self.seen / self.busy, 1) if self.busy else None,
            "start_sha256": start,
            **noted,
        }

    def try_step(self) -> float:
        """The loss of one step from a drawn start, and nothing kept: does this network take these pictures?"""
        starts.initialise(self.model, self.table, self.settings["start"]["scheme"], self.seed)
        self.model.to(self.device, memory_format=torch.channels_last).train()
        optimizer = self._enter(self.training["stages"][0])
        images, labels = self.feed.batch(torch.arange(len(self.feed)), 1, 0)
        return float(self._step(images, labels, optimizer)[0]) / len(labels)

    # ------------------------------------------------------------------------------------- one stage

    def _enter(self, stage: dict) -> torch.optim.Optimizer:
        """Freeze what the stage freezes, and give it a fresh optimizer that holds nothing frozen."""
        frozen = self.table.chosen(stage["frozen"])
        self.model.requires_grad_(True)
        for name in frozen:
            self.model.get_submodule(name).requires_grad_(False)
        self.fixed = [self.model.get_submodule(name) for name in fixed_layers(self.table, frozen, self.training)]
        free = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        settings = dict(self.training["optimizer"])
        match settings.pop("type"):
            case "sgd":
                return torch.optim.SGD(free, **(settings | {"lr": stage["lr"]}))
            case "adam":
                return torch.optim.Adam(free, **(settings | {"lr": stage["lr"], "betas": tuple(settings["betas"])}))
            case other:
                raise ValueError(f"optimizer {other!r} is not known; allowed: sgd, adam")

    def _losses(self, stage: int) -> list[float]:
        """The validation losses after each epoch of a stage so far."""
        return [row["valid_loss"] for row in self.rows if row["stage"] == stage]

    def _over(self, number: int) -> bool:
        """Whether a stage is over: all of its epochs are trained, or it has stopped early."""
        losses, rule = self._losses(number), self.training.get("early_stopping")
        return len(losses) >= self.training["stages"][number]["epochs"] or stopped(rule, losses)

    def _epoch(self, epoch: int, number: int, optimizer) -> tuple[float, float]:
        """Train one epoch of a stage; (mean loss, accuracy) over its batches, as they were trained on."""
        self.model.train()
        for module in self.fixed:
            module.eval()
        torch.manual_seed(streams.key(self.seed, f"{self.stream}dropout", epoch))
        stage, losses = self.training["stages"][number], self._losses(number)
        order = self.feed.order(epoch)
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        began = told = time.monotonic()
        for step in range(self.steps):
            self.now = rate(stage, len(losses) * self.steps + step, self.steps, losses)
            for group in optimizer.param_groups:
                group["lr"] = self.now
            sums += self._step(*self.feed.batch(order, epoch, step), optimizer)
            if time.monotonic() - told > REPORT_SECONDS:
                told = time.monotonic()
                self._tell(epoch, step + 1, sums, told - began)
        if self.evidence:
            self.evidence.close()
        count = min(self.steps * self.training["batch_size"], len(self.feed))
        loss, right = (sums / count).tolist()
        self.seen, self.busy = self.seen + count, self.busy + time.monotonic() - began
        return loss, right

    def _step(self, batch: torch.Tensor, wanted: torch.Tensor, optimizer) -> torch.Tensor:
        """One step of the optimizer; (summed loss, right answers) as float64 [2], still on the device."""
        optimizer.zero_grad(set_to_none=True)
        with self._precision():
            outputs = self.model(batch)
            loss = functional.cross_entropy(outputs.float(), wanted)
        (loss + self._elastic_net() if self.penalty else loss).backward()
        if self.evidence:
            self.evidence.gradients()
        optimizer.step()
        if self.evidence:
            self.evidence.values()
        return torch.stack([loss.detach().double() * len(wanted), (outputs.argmax(1) == wanted).sum().double()])

    def _elastic_net(self) -> torch.Tensor:
        """The penalty on the weights, not the biases, of its layers: weight (alpha sum |w| + (1 - alpha) sum w^2).

        Zou & Hastie 2005 with Keras's l1_l2: no factor 1/2 on the squares. The losses that are recorded are without it.
        """
        chosen = [self.model.get_submodule(name).weight for name in self.penalised]
        absolute, square = sum(w.abs().sum() for w in chosen), sum(w.square().sum() for w in chosen)
        return self.penalty["weight"] * (self.penalty["alpha"] * absolute + (1 - self.penalty["alpha"]) * square)

    def _precision(self):
        low = self.training["precision"] == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=low)

    # ---------------------------------------------------------------------------- what is recorded

    @torch.inference_mode()
    def _evaluate(self, split: Split) -> tuple[float, float]:
        """(mean loss, accuracy) in evaluation mode."""
        self.model.eval()
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        for images, labels in zip(split.images.split(EVAL_BATCH), split.labels.split(EVAL_BATCH), strict=True):
            with self._precision():
                outputs = self.model(self.pictures.batch(images)).float()
            loss = functional.cross_entropy(outputs, labels, reduction="sum")
            sums += torch.stack([loss.double(), (outputs.argmax(1) == labels).sum()])
        return tuple((sums / len(split)).tolist())

    def _record(self, epoch: int, stage: int | None, now: float | None, trained: tuple, seconds: float) -> bool:
        """Evaluate, add a row to the metrics, keep the snapshots; False where the run has diverged."""
        valid, test = self._evaluate(self.pictures.valid), self._evaluate(self.pictures.test)
        values = (self.cell_id, self.seed, epoch, stage, now, *trained, *valid, *test, seconds)
        speed = len(self.feed) / seconds if seconds else math.nan
        self.rows.append(dict(zip(store.METRICS, (*values, speed), strict=True)))
        with store.whole(self.out / f"metrics_seed{self.seed}.csv") as path, open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, store.METRICS)
            writer.writeheader()
            writer.writerows({key: _text(value) for key, value in row.items()} for row in self.rows)
        sound = epoch == 0 or all(loss < DIVERGED for loss in (trained[0], valid[0]))
        if sound:
            self._keep(epoch, valid[1], stage == len(self.training["stages"]) - 1 and self._over(stage))
        self._say(epoch, trained, valid, test)
        return sound

    def _keep(self, epoch: int, accuracy: float, last: bool) -> None:
        """Write this epoch's snapshot where it is asked for or the last, and `best` where it is the best so far."""
        kept = self.settings["snapshots"]
        asked = last or kept == "all" or epoch in ((0,) if kept == "ends" else kept)
        best = epoch > 0 and accuracy > self.best[0]
        here, first = store.snapshot_path(self.out, self.seed, epoch), store.snapshot_path(self.out, self.seed, "best")
        if asked:
            self._save(here, epoch)
        if best:
            self.best = (accuracy, epoch)
            first.unlink(missing_ok=True)
            first.hardlink_to(here) if asked else self._save(first, epoch)

    def _save(self, path: Path, epoch: int) -> None:
        tensors = {name: tensor.contiguous().cpu() for name, tensor in self.model.state_dict().items()}
        store.save_tensors(path, tensors, {"cell_id": self.cell_id, "seed": self.seed, "epoch": epoch})

    # ---------------------------------------------------------------------------------- what is told

    def _tell(self, epoch: int, step: int, sums: torch.Tensor, seconds: float) -> None:
        """The live line within an epoch: loss and accuracy so far, images/s, time left."""
        count = step * self.training["batch_size"]
        loss, right = (sums / count).tolist()
        left = (self.training["epochs"] - epoch + 1 - step / self.steps) * seconds * self.steps / step
        place = f"epoch {epoch}/{self.training['epochs']} {step / self.steps:4.0%}"
        speed = f"{count / seconds:,.0f} images/s"
        print(f"seed {self.seed}  {place}  loss {loss:.4f}  train {right:.2%}  {speed}  {clock(left)} left", flush=True)

    def _say(self, epoch: int, trained: tuple, valid: tuple, test: tuple) -> None:
        """The line at the end of an epoch."""
        last, spent = self.training["epochs"], time.monotonic() - self.began
        left = f"  {clock(spent / epoch * (last - epoch))} left" if epoch else ""
        train = f"  loss {trained[0]:.4f}  train {trained[1]:.2%}" if epoch else ""
        speed = f"  {self.seen / self.busy:,.0f} images/s" if self.busy else ""
        accuracies = f"valid {valid[1]:.2%}  test {test[1]:.2%}"
        print(f"seed {self.seed}  epoch {epoch}/{last}{train}  {accuracies}{speed}{left}", flush=True)


def fixed_layers(table: Table, frozen: list[str], training: dict) -> list[str]:
    """The names of the layers that stay in evaluation mode while the layers `frozen` are.

    Those are the frozen BatchNorms, whose statistics thus stay fixed (unless `frozen_batchnorm` is "batch"), and, where
    `frozen_dropout` is off, each dropout that comes before the first weight layer that learns.
    """
    fixed = training["frozen_batchnorm"] == "fixed"
    chosen = [name for name in frozen if fixed or table[name].kind != "BatchNorm2d"]
    if frozen and not training["frozen_dropout"]:
        learns = next(layer for layer in table.weight_layers if layer.name not in frozen)
        before = table.layers[: table.layers.index(learns)]
        chosen += [layer.name for layer in before if layer.kind == "Dropout"]
    return chosen


def penalised(table: Table, layers: list[str] | None) -> list[str]:
    """The names of the convolutions and linear layers that a penalty on `layers` is for: the last layer where None."""
    if layers is None:
        return [table.head.name]
    return [name for name in table.chosen(layers) if table[name] in table.weight_layers]


def optimizer_state(optimizer: torch.optim.Optimizer, parameters: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The optimizer's state as tensors named `<parameter>:<key>`, on the CPU."""
    return {
        f"{name}:{key}": value.detach().cpu().contiguous()
        for name, parameter in parameters.items()
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, torch.Tensor)
    }


def carry(optimizer: torch.optim.Optimizer, parameters: dict[str, torch.Tensor], path: Path) -> None:
    """Give a fresh optimizer the state that `optimizer_state` wrote."""
    for key, value in store.load_tensors(path).items():
        name, _, own = key.rpartition(":")
        if parameters[name].requires_grad:
            # Adam's step counter stays on the CPU; what has the parameter's shape goes where the parameter is.
            like = parameters[name] if value.shape == parameters[name].shape else torch.empty(())
            optimizer.state[parameters[name]][own] = torch.empty_like(like).copy_(value)


def clock(seconds: float) -> str:
    """Seconds as a person would say them: 45 s, 3 min 20 s, 2 h 05 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def _steps(count: int, batch: int, table: Table) -> int:
    """Steps an epoch; a last batch of one picture is left out where BatchNorm could not take it."""
    alone = count % batch == 1 and count > 1 and any(layer.kind == "BatchNorm2d" for layer in table.layers)
    return -(-count // batch) - alone


def _text(value) -> str:
    """A number for a CSV file: nothing for what is not there, all digits of the rest."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else str(value)
