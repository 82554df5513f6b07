"""The training engine: one start, then the same training, for every kind of run."""

import csv
import math
import os
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from weight_atlas import starts, store, streams
from weight_atlas.networks import build
from weight_atlas.networks.table import Table
from weight_atlas.settings import Settings, Stage
from weight_atlas.training import checkpoint
from weight_atlas.training.data import Pictures, Split
from weight_atlas.training.feed import Feed
from weight_atlas.training.frozen import constant, fixed_layers, same_rows
from weight_atlas.training.rates import rate, stopped
from weight_atlas.training.track import GradientTracker

# A loss above so many nats is no training any more, though it may stay finite for ever (units die, biases explode).
DIVERGED = 1000.0
EVAL_BATCH = 500
REPORT_SECONDS = 5.0


class Run:
    """One replicate of a cell: its model, its optimizer, and what is recorded of it.

    `Run.stopping` is set by whoever wants training to stop: it then leaves a checkpoint and ends.
    """

    stopping = False

    def __init__(
        self, cell_id: str, settings: Settings, seed: int, pictures: Pictures, device: torch.device, out: Path
    ):
        self.cell_id, self.settings, self.seed, self.pictures = cell_id, settings, seed, pictures
        self.device, self.out, self.training = device, out, settings.training
        self.stream = streams.of(settings.start)
        self.model, self.table = build.build(*settings.network_arguments)
        self.feed = Feed(pictures, self.training, seed, self.stream)
        self.steps = _steps(len(self.feed), self.training.batch_size, self.table)
        self.penalty = self.training.penalty
        self.penalised = penalised(self.table, self.penalty.layers) if self.penalty else []
        self.rows: list[dict[str, Any]] = []
        self.tracker: GradientTracker | None = None
        self.maker = checkpoint.identity(settings.json, seed, device)
        self.stage, self.epoch, self.best, self.diverged, self.early = 0, 0, (-1.0, 0), False, False
        self.noted: dict[str, Any] = {}
        self.forward, self.features = self.model, {}
        self.partial: dict[str, torch.Tensor] = {}
        self.now, self.seen, self.busy, self.began, self.saved = 0.0, 0, 0.0, time.monotonic(), time.monotonic()

    def train(self, file: str | None) -> dict[str, Any]:
        """Train from the start (loaded from `file` where it is not drawn) to the end or to divergence.

        Writes snapshots and metrics.csv into its folder below `out`; returns the replicate's record.
        """
        found = checkpoint.load(checkpoint.path(self.out, self.seed), self.maker)
        step, state = self._restore(*found) if found else self._begin(file)
        for number, stage in list(enumerate(self.training.stages))[self.stage :]:
            self.stage, optimizer = number, self._enter(stage)
            carry(optimizer, dict(self.model.named_parameters()), state)
            state = {}
            while not (self.diverged or self._over(number)):
                began = time.monotonic()
                trained = self._epoch(optimizer, step)
                self.epoch, step = self.epoch + 1, 0
                self.diverged = not self._record(trained, time.monotonic() - began)
                self._checkpoint(optimizer, 0)
            if self.diverged:
                break
            if len(self._losses(number)) < stage.epochs:
                self.early = True
                print(
                    f"seed {self.seed}  epoch {self.epoch}: the validation loss falls no more, the stage ends",
                    flush=True,
                )
        if self.tracker:
            self.tracker.save(store.track_path(self.out, self.seed))
        if self.training.keep_optimizer:
            state = optimizer_state(optimizer, dict(self.model.named_parameters()))
            store.save_tensors(store.optimizer_path(self.out, self.seed), state)
        return {
            "seed": self.seed,
            "status": "diverged" if self.diverged else "done",
            "cause": f"the loss was not finite, or above {DIVERGED:g}, in epoch {self.epoch}"
            if self.diverged
            else None,
            "epochs": self.epoch,
            "stopped_early": self.early,
            "best_epoch": self.best[1],
            "wall_seconds": round(time.monotonic() - self.began, 3),
            "images_per_second": round(self.seen / self.busy, 1) if self.busy else None,
            **self.noted,
        }

    def _begin(self, file: str | None) -> tuple[int, dict[str, Any]]:
        """Give the model its start and record it; (0, the optimizer's state to begin with: a parent's, or none)."""
        start = self.settings.start
        noted = starts.begin(self.model, self.table, start, self.seed, file)
        self.noted = {"start_sha256": starts.fingerprint(self.model.state_dict())} | noted
        # Seen from the block's directory, which lies where `out` does: what the start is made from again.
        self.noted["start_file"] = file and os.path.relpath(file, self.out)
        self.model.to(self.device, memory_format=torch.channels_last)
        self.tracker = GradientTracker(self.model) if self.training.track else None
        self._record((math.nan, math.nan), 0.0)
        carried = start.carries_state
        return 0, store.load_tensors(Path(file).with_name("optimizer.safetensors")) if carried else {}

    def _restore(self, tensors: dict[str, Any], facts: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Go on from a checkpoint; (the steps of the next epoch that are done, the optimizer's state)."""
        parts: dict[str, dict[str, Any]] = {}
        for name, tensor in tensors.items():
            kind, _, own = name.partition(":")
            parts.setdefault(kind, {})[own] = tensor
        self.model.load_state_dict(parts["model"])
        self.model.to(self.device, memory_format=torch.channels_last)
        if self.training.track:
            first = store.load_tensors(store.snapshot_path(self.out, self.seed, 0))
            self.tracker = GradientTracker(self.model, first, parts["evidence"])
        self.partial = parts["partial"]
        self.stage, self.epoch, self.rows, self.noted = (facts[key] for key in ("stage", "epoch", "rows", "noted"))
        self.best, self.early, self.seen, self.busy = tuple(facts["best"]), facts["early"], facts["seen"], facts["busy"]
        self.began = time.monotonic() - facts["spent"]
        place = f"step {facts['step']} of epoch {self.epoch + 1}" if facts["step"] else f"epoch {self.epoch}"
        print(f"seed {self.seed}  goes on after {place}", flush=True)
        return facts["step"], parts.get("optimizer", {})

    def _checkpoint(self, optimizer, step: int, sums: torch.Tensor | None = None) -> None:
        """Leave a checkpoint where it is time for one, or somebody asks to stop: then this is the end."""
        if not (Run.stopping or time.monotonic() - self.saved >= checkpoint.SECONDS) or self.diverged:
            return
        tensors = {f"model:{name}": tensor for name, tensor in self.model.state_dict().items()}
        state = optimizer_state(optimizer, dict(self.model.named_parameters()))
        tensors |= {f"optimizer:{name}": tensor for name, tensor in state.items()}
        tensors |= {f"evidence:{name}": tensor for name, tensor in self.tracker.found().items()} if self.tracker else {}
        tensors |= {"partial:cpu": torch.get_rng_state(), "partial:sums": torch.zeros(2) if sums is None else sums}
        if self.device.type == "cuda":
            tensors["partial:cuda"] = torch.cuda.get_rng_state(self.device)
        facts = {
            key: getattr(self, key) for key in ("stage", "epoch", "rows", "noted", "best", "early", "seen", "busy")
        }
        facts |= {"step": step, "spent": time.monotonic() - self.began}
        checkpoint.save(checkpoint.path(self.out, self.seed), tensors, facts, self.maker)
        self.saved = time.monotonic()
        if Run.stopping:
            print(f"seed {self.seed}  asked to stop: what is done is kept", flush=True)
            raise checkpoint.Stopped

    def try_step(self) -> float:
        """The loss of one step from a drawn start, and nothing kept: does this network take these pictures?"""
        starts.initialise(self.model, self.table, self.settings.start.scheme or "", self.seed)
        self.model.to(self.device, memory_format=torch.channels_last).train()
        optimizer = self._enter(self.training.stages[0])
        self.feed.shuffle_epoch(1, torch.arange(min(len(self.feed), self.training.batch_size)))
        images, labels = self.feed.batch(0)
        return float(self._step(images, labels, optimizer)[0]) / len(labels)

    # ------------------------------------------------------------------------------------- one stage

    def _enter(self, stage: Stage) -> torch.optim.Optimizer:
        """Freeze what the stage freezes, and give it a fresh optimizer that holds nothing frozen."""
        frozen = self.table.select(stage.frozen)
        self.model.requires_grad_(True)
        for name in frozen:
            self.model.get_submodule(name).requires_grad_(False)
        self.fixed = [self.model.get_submodule(name) for name in fixed_layers(self.table, frozen, self.training)]
        self._cache(same_rows(self.table, frozen, self.training) if frozen and self.training.cache_features else 0)
        free = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        options = self.training.optimizer.options | {"lr": stage.lr}
        match self.training.optimizer.type:
            case "sgd":
                return torch.optim.SGD(free, **options)
            case "adam":
                return torch.optim.Adam(free, **(options | {"betas": tuple(options["betas"])}))
            case other:
                raise ValueError(f"optimizer {other!r} is not known; allowed: sgd, adam")

    @torch.no_grad()
    def _cache(self, rows: int) -> None:
        """From here on, run the network from what its first `rows` rows make of every picture: computed now, once."""
        self.features, self.feed.features, self.forward = {}, None, self.model
        if not rows:
            return
        first, rest = build.split(self.model, self.table, rows)
        began, steps = time.monotonic(), -(-len(self.feed) // self.training.batch_size)
        self.model.eval()
        with self._precision():
            self.feed.shuffle_epoch(0, torch.arange(len(self.feed)))
            self.feed.features = torch.cat([first(self.feed.batch(step)[0]) for step in range(steps)])
            for split in (self.pictures.valid, self.pictures.test):
                self.features[split] = torch.cat([first(batch) for batch in self._pictures(split)])
        self.forward = rest
        size = sum(kept.nbytes for kept in (self.feed.features, *self.features.values())) / 1e6
        place = f"the first {rows} of {len(self.table.layers)} rows"
        print(
            f"seed {self.seed}  {place} are computed once: {size:,.0f} MB, {clock(time.monotonic() - began)}",
            flush=True,
        )

    def _pictures(self, split: Split):
        """What the network is evaluated on, in batches: the pictures of a split, or what is kept of them."""
        if split in self.features:
            return self.features[split].split(EVAL_BATCH)
        return (self.pictures.batch(images) for images in split.images.split(EVAL_BATCH))

    def _losses(self, stage: int) -> list[float]:
        """The validation losses after each epoch of a stage so far."""
        return [row["valid_loss"] for row in self.rows if row["stage"] == stage]

    def _over(self, number: int) -> bool:
        """Whether a stage is over: all of its epochs are trained, or it has stopped early."""
        losses, rule = self._losses(number), self.training.early_stopping
        return len(losses) >= self.training.stages[number].epochs or stopped(rule, losses)

    def _epoch(self, optimizer, first: int) -> tuple[float, float]:
        """Train the next epoch of the stage from its step `first` on; (mean loss, accuracy) over its batches, as they
        were trained on."""
        self.model.train()
        for module in self.fixed:
            module.eval()
        epoch, stage, losses = self.epoch + 1, self.training.stages[self.stage], self._losses(self.stage)
        torch.manual_seed(streams.key(self.seed, f"{self.stream}dropout", epoch))
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        if first:
            sums += self.partial["sums"].to(self.device)
            torch.set_rng_state(self.partial["cpu"])
            if self.device.type == "cuda":
                torch.cuda.set_rng_state(self.partial["cuda"], self.device)
        self.feed.shuffle_epoch(epoch)
        began = told = time.monotonic()
        for step in range(first, self.steps):
            self.now = rate(stage, len(losses) * self.steps + step, self.steps, losses)
            for group in optimizer.param_groups:
                group["lr"] = self.now
            sums += self._step(*self.feed.batch(step), optimizer)
            if time.monotonic() - told > REPORT_SECONDS:
                told = time.monotonic()
                self._tell(step + 1, sums, (told - began) * (step + 1) / (step + 1 - first))
            if step + 1 < self.steps:
                self._checkpoint(optimizer, step + 1, sums)
        if self.tracker:
            self.tracker.close()
        count = min(self.steps * self.training.batch_size, len(self.feed))
        loss, right = (sums / count).tolist()
        self.seen += count - first * self.training.batch_size
        self.busy += time.monotonic() - began
        return loss, right

    def _step(self, batch: torch.Tensor, wanted: torch.Tensor, optimizer) -> torch.Tensor:
        """One step of the optimizer; (summed loss, right answers) as float64 [2], still on the device."""
        optimizer.zero_grad(set_to_none=True)
        with self._precision():
            outputs = self.forward(batch)
            loss = functional.cross_entropy(outputs.float(), wanted)
        (loss + self._elastic_net() if self.penalty else loss).backward()
        if self.tracker:
            self.tracker.gradients()
        optimizer.step()
        if self.tracker:
            self.tracker.values()
        return torch.stack([loss.detach().double() * len(wanted), (outputs.argmax(1) == wanted).sum().double()])

    def _elastic_net(self) -> torch.Tensor:
        """The penalty on the weights, not the biases, of its layers: weight (alpha sum |w| + (1 - alpha) sum w^2).

        Zou & Hastie 2005 with Keras's l1_l2: no factor 1/2 on the squares. The losses that are recorded are without it.
        """
        chosen = [self.model.get_submodule(name).weight for name in self.penalised]
        absolute, square = sum(w.abs().sum() for w in chosen), sum(w.square().sum() for w in chosen)
        return self.penalty.weight * (self.penalty.alpha * absolute + (1 - self.penalty.alpha) * square)

    def _precision(self):
        if self.training.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    # ---------------------------------------------------------------------------- what is recorded

    @torch.inference_mode()
    def _evaluate(self, split: Split) -> tuple[float, float]:
        """(mean loss, accuracy) in evaluation mode."""
        self.model.eval()
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        for batch, labels in zip(self._pictures(split), split.labels.split(EVAL_BATCH), strict=True):
            with self._precision():
                outputs = self.forward(batch).float()
            loss = functional.cross_entropy(outputs, labels, reduction="sum")
            sums += torch.stack([loss.double(), (outputs.argmax(1) == labels).sum()])
        return tuple((sums / len(split)).tolist())

    def _record(self, trained: tuple, seconds: float) -> bool:
        """Evaluate, add a row to the metrics, keep the snapshots; False where the run has diverged."""
        epoch = self.epoch
        stage, now = (self.stage, self.now) if epoch else (None, None)
        valid, test = self._evaluate(self.pictures.valid), self._evaluate(self.pictures.test)
        values = (self.cell_id, self.seed, epoch, stage, now, *trained, *valid, *test, seconds)
        speed = len(self.feed) / seconds if seconds else math.nan
        self.rows.append(dict(zip(store.METRICS, (*values, speed), strict=True)))
        with store.atomic_write(store.metrics_path(self.out, self.seed)) as path, open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, store.METRICS)
            writer.writeheader()
            writer.writerows({key: _text(value) for key, value in row.items()} for row in self.rows)
        sound = epoch == 0 or all(loss < DIVERGED for loss in (trained[0], valid[0]))
        if sound:
            self._keep(epoch, valid[1], stage == len(self.training.stages) - 1 and self._over(stage))
        self._say(trained, valid, test)
        return sound

    def _keep(self, epoch: int, accuracy: float, last: bool) -> None:
        """Write this epoch's snapshot where it is asked for or the last, and `best` where it is the best so far."""
        kept = self.settings.snapshots
        asked = last or kept == "all" or epoch in ((0,) if kept == "ends" else kept)
        best = epoch > 0 and accuracy > self.best[0]
        here, first = store.snapshot_path(self.out, self.seed, epoch), store.snapshot_path(self.out, self.seed, "best")
        if asked:
            self._save(here, epoch)
        if best:
            self.best = (accuracy, epoch)
            if not asked:
                self._save(first, epoch)
                return
            with store.atomic_write(first) as part:
                os.link(here, part)

    def _save(self, path: Path, epoch: int) -> None:
        """Write a snapshot: the start whole, later ones without what never changes."""
        left_out = constant(self.table, self.training) if epoch else ()
        chosen = {name: tensor for name, tensor in self.model.state_dict().items() if name not in left_out}
        tensors = {name: tensor.contiguous().cpu() for name, tensor in chosen.items()}
        about = {"cell_id": self.cell_id, "seed": self.seed, "epoch": epoch}
        about |= {store.REST: store.snapshot_path(self.out, self.seed, 0).name} if left_out else {}
        store.save_tensors(path, tensors, about)

    # ---------------------------------------------------------------------------------- what is told

    def _tell(self, step: int, sums: torch.Tensor, seconds: float) -> None:
        """The live line within an epoch: loss and accuracy so far, images/s, time left."""
        epoch = self.epoch + 1
        count = step * self.training.batch_size
        loss, right = (sums / count).tolist()
        left = (self.training.epochs - epoch + 1 - step / self.steps) * seconds * self.steps / step
        place = f"epoch {epoch}/{self.training.epochs} {step / self.steps:4.0%}"
        speed = f"{count / seconds:,.0f} images/s"
        print(f"seed {self.seed}  {place}  loss {loss:.4f}  train {right:.2%}  {speed}  {clock(left)} left", flush=True)

    def _say(self, trained: tuple, valid: tuple, test: tuple) -> None:
        """The line at the end of an epoch."""
        epoch = self.epoch
        last, spent = self.training.epochs, time.monotonic() - self.began
        left = f"  {clock(spent / epoch * (last - epoch))} left" if epoch else ""
        train = f"  loss {trained[0]:.4f}  train {trained[1]:.2%}" if epoch else ""
        speed = f"  {self.seen / self.busy:,.0f} images/s" if self.busy else ""
        accuracies = f"valid {valid[1]:.2%}  test {test[1]:.2%}"
        print(f"seed {self.seed}  epoch {epoch}/{last}{train}  {accuracies}{speed}{left}", flush=True)


def penalised(table: Table, layers: list[str] | None) -> list[str]:
    """The names of the convolutions and linear layers that a penalty on `layers` is for: the last layer where None."""
    if layers is None:
        return [table.head.name]
    return [name for name in table.select(layers) if table[name] in table.weight_layers]


def optimizer_state(optimizer: torch.optim.Optimizer, parameters: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The optimizer's state as tensors named `<parameter>:<key>`, on the CPU."""
    return {
        f"{name}:{key}": value.detach().cpu().contiguous()
        for name, parameter in parameters.items()
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, torch.Tensor)
    }


def carry(optimizer: torch.optim.Optimizer, parameters: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
    """Give a fresh optimizer the state that `optimizer_state` returned, as far as it holds these parameters."""
    for key, value in state.items():
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
