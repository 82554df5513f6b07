"""The training engine: one start, then the same training, for every kind of run."""

import copy
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from weight_atlas import records, starts, store, streams
from weight_atlas.networks import batches, build
from weight_atlas.networks.table import Table
from weight_atlas.settings import Penalty, Settings, Stage
from weight_atlas.training import checkpoint
from weight_atlas.training.average import Average
from weight_atlas.training.data import ImageData, Split
from weight_atlas.training.feed import Feed
from weight_atlas.training.frozen import fixed_layers, same_rows
from weight_atlas.training.log import clock, epoch_line, log, step_line
from weight_atlas.training.optimizers import create_optimizer, load_optimizer_state, optimizer_state, set_rate
from weight_atlas.training.pruned import PrunedWeights
from weight_atlas.training.rates import learning_rate, stops_early
from weight_atlas.training.recorder import Recorder
from weight_atlas.training.state import Evaluation, Score, State
from weight_atlas.training.track import GradientTracker

# A loss above so many nats is no training any more, though it may stay finite for ever (units die, biases explode).
DIVERGED = 1000.0
LOG_SECONDS = 5.0


class Run:
    """One replicate of a cell: its model, its optimizer, and what is recorded of it.

    `Run.stopping` is set by whoever wants training to stop: it then leaves a checkpoint and ends.
    """

    stopping = False

    def __init__(self, cell_id: str, settings: Settings, seed: int, data: ImageData, device: torch.device, out: Path):
        self.cell_id, self.settings, self.seed, self.data = cell_id, settings, seed, data
        self.device, self.out, self.training = device, out, settings.training
        self.stream = streams.prefix(settings.start)
        self.model, self.table = build.build(*settings.network_arguments)
        self.feed = Feed(data, self.training, seed, self.stream)
        self.evaluated = batches.evaluated(self.table)  # images at a time
        self.steps = steps_per_epoch(len(self.feed), self.training.batch_size, self.table)
        self.penalty = self.training.penalty
        self.penalised = penalised_layers(self.table, self.penalty.layers) if self.penalty else []
        self.recorder = Recorder(cell_id, settings, seed, self.table, out)
        self.tracker: GradientTracker | None = None
        self.average: Average | None = None
        self.pruned = PrunedWeights(self.model, {})
        self.state, self.diverged, self.lr = State(), False, 0.0
        self.fixed: list[nn.Module] = []  # those that stay in evaluation mode
        self.forward: Callable[[Tensor], Tensor] = self.model
        self.start: nn.Module | None = None  # the model as it began, where its outputs are scaled
        self.features: dict[Split, Tensor] = {}  # what frozen first layers make of the images of a split
        self.interrupted: dict[str, Tensor] = {}  # sums and generators of an epoch that a checkpoint interrupted
        self.right: dict[str, Tensor] = {}  # by protocol, bool: which test images are classified right
        self.maker = checkpoint.identity(settings.json, seed, device)
        self.began = time.monotonic()
        self.next_checkpoint = self.began + checkpoint.interval(0.0)

    def train(self, file: str | None) -> dict[str, Any]:
        """Train from the start (loaded from `file` where it is not drawn) to the end or to divergence.

        Writes snapshots and metrics.csv into its folder below `out`; returns the replicate's record.
        """
        saved = checkpoint.load(checkpoint.path(self.out, self.seed), self.maker)
        first_step, moments = self._resume(saved) if saved else (0, self._begin(file))
        for number in range(self.state.stage, len(self.training.stages)):
            optimizer = self._train_stage(number, first_step, moments)
            first_step, moments = 0, {}
            if self.diverged:
                break
        if self.tracker:
            self.tracker.save(store.track_path(self.out, self.seed))
        bits = {protocol: np.packbits(right.numpy()) for protocol, right in self.right.items()}
        store.save_tensors(store.right_path(self.out, self.seed), bits, {"images": len(self.data.test)})
        if self.training.keep_optimizer:
            moments = optimizer_state(optimizer, dict(self.model.named_parameters()))
            store.save_tensors(store.optimizer_path(self.out, self.seed), moments)
        return self._record()

    def _record(self) -> dict[str, Any]:
        """What is recorded of the replicate as a whole."""
        state = self.state
        cause = f"the loss was not finite, or above {DIVERGED:g}, in epoch {state.epoch}" if self.diverged else None
        return {
            "seed": self.seed,
            "status": "diverged" if self.diverged else "done",
            "cause": cause,
            "epochs": state.epoch,
            "stopped_early": state.stopped_early,
            "best_epoch": state.best_epoch,
            "wall_seconds": round(time.monotonic() - self.began, 3),
            "images_per_second": round(state.images / state.train_seconds, 1) if state.train_seconds else None,
            **state.start,
        }

    # ------------------------------------------------------------------------------ start and checkpoints

    def _begin(self, file: str | None) -> dict[str, Tensor]:
        """Give the model its start and record it; returns the optimizer's state to begin with: a parent's, or none."""
        start = self.settings.start
        begun = starts.begin(self.model, self.table, start, self.seed, file)
        self.state.start = {"start_sha256": starts.fingerprint(self.model.state_dict())} | begun.record
        self.state.start["started"] = records.timestamp()
        # Relative to the block's directory, which lies where `out` does: what the start is made from again.
        self.state.start["start_file"] = file and os.path.relpath(file, self.out)
        self._place_model(begun.masks)
        self._scale_outputs(self.model.state_dict())
        self.tracker = GradientTracker(self.model) if self.training.track else None
        self._finish_epoch(Score(math.nan, math.nan), 0.0)
        if file and start.carries_state:
            return store.load_tensors(Path(file).with_name("optimizer.safetensors"))
        return {}

    def _place_model(self, masks: Mapping[str, Tensor]) -> None:
        self.model.to(self.device).to(memory_format=torch.channels_last)
        self.pruned = PrunedWeights(self.model, masks)
        self.average = Average(self.training.average, self.model) if self.training.average else None

    @property
    def kept_model(self) -> nn.Module:
        """What is evaluated and kept: the model, or its average."""
        return self.average.model(self.model) if self.average else self.model

    def _scale_outputs(self, start: dict[str, Tensor]) -> None:
        """With an output scale alpha, train alpha (f(theta) - f(theta_0)) in the place of f(theta).

        Large scales, with a rate of 1 / alpha^2, make training lazy (Chizat, Oyallon and Bach 2019, "On lazy training
        in differentiable programming", section 1.1 and equation 3). Snapshots hold theta.
        """
        if self.training.output_scale is not None:
            self.start = copy.deepcopy(self.model).requires_grad_(False)
            build.fill(self.start, start)
            self.forward = self._scaled

    def _scaled(self, batch: Tensor) -> Tensor:
        assert self.start is not None and self.training.output_scale is not None
        change: Tensor = self.model(batch) - self.start(batch)
        return self.training.output_scale * change

    def _resume(self, saved: checkpoint.Checkpoint) -> tuple[int, dict[str, Tensor]]:
        """Go on from a checkpoint; (how many steps of the next epoch are done, the optimizer's state)."""
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in saved.tensors.items():
            part, _, rest = name.partition(":")
            parts.setdefault(part, {})[rest] = tensor
        build.fill(self.model, parts["model"])
        self._place_model(parts.get("mask", {}))
        if self.average:
            self.average.load(parts["average"])
        first = store.load_tensors(store.snapshot_path(self.out, self.seed, 0))
        self._scale_outputs(first)
        if self.training.track:
            self.tracker = GradientTracker(self.model, first, parts["track"])
        self.interrupted, self.right = parts["interrupted"], parts["right"]
        self.state, step = State(**saved.facts["state"]), saved.facts["step"]
        self.began = time.monotonic() - saved.facts["seconds"]
        place = f"step {step} of epoch {self.state.epoch + 1}" if step else f"epoch {self.state.epoch}"
        log(self.seed, f"goes on after {place}")
        return step, parts.get("optimizer", {})

    def _checkpoint(self, optimizer: torch.optim.Optimizer, step: int, sums: Tensor | None = None) -> None:
        """Leave a checkpoint where it is time for one, or where somebody asks to stop: then this is the end."""
        began = time.monotonic()
        if not (Run.stopping or began >= self.next_checkpoint) or self.diverged:
            return
        tensors = {f"model:{name}": tensor for name, tensor in self.model.state_dict().items()}
        moments = optimizer_state(optimizer, dict(self.model.named_parameters()))
        tensors |= {f"optimizer:{name}": tensor for name, tensor in moments.items()}
        tensors |= {f"track:{name}": tensor for name, tensor in self.tracker.tensors().items()} if self.tracker else {}
        tensors |= (
            {f"average:{name}": tensor for name, tensor in self.average.tensors().items()} if self.average else {}
        )
        tensors |= {f"mask:{name}": mask for name, mask in self.pruned.masks.items()}
        tensors |= {f"right:{protocol}": right for protocol, right in self.right.items()}
        tensors["interrupted:cpu"] = torch.get_rng_state()
        tensors["interrupted:sums"] = torch.zeros(2) if sums is None else sums
        if self.device.type == "cuda":
            tensors["interrupted:cuda"] = torch.cuda.get_rng_state(self.device)
        facts = {"state": asdict(self.state), "step": step, "seconds": time.monotonic() - self.began}
        checkpoint.save(checkpoint.path(self.out, self.seed), tensors, facts, self.maker)
        self.next_checkpoint = time.monotonic() + checkpoint.interval(time.monotonic() - began)
        if Run.stopping:
            log(self.seed, "asked to stop: what is done is kept")
            raise checkpoint.Stopped

    # ------------------------------------------------------------------------------------- one stage

    def _train_stage(self, number: int, first_step: int, moments: dict[str, Tensor]) -> torch.optim.Optimizer:
        """Train a stage to its end or to divergence, the first epoch from its step `first_step` on.

        moments: the optimizer's state to begin with. Returns the optimizer.
        """
        stage, self.state.stage = self.training.stages[number], number
        optimizer = self.enter_stage(stage)
        load_optimizer_state(optimizer, dict(self.model.named_parameters()), moments)
        while not (self.diverged or self._is_over(number)):
            began = time.monotonic()
            score = self.train_epoch(optimizer, first_step)
            self.state.epoch, first_step = self.state.epoch + 1, 0
            if self.average:
                with self._precision():
                    self.average.add_epoch(self.model, self.state.epoch, self._trained_on)
            self.diverged = not self._finish_epoch(score, time.monotonic() - began)
            self._checkpoint(optimizer, 0)
        if not self.diverged and len(self.state.valid_losses(number)) < stage.epochs:
            self.state.stopped_early = True
            log(self.seed, f"epoch {self.state.epoch}: the validation loss falls no more, the stage ends")
        return optimizer

    def enter_stage(self, stage: Stage) -> torch.optim.Optimizer:
        """Freeze what the stage freezes; returns a fresh optimizer of everything else."""
        frozen = self.table.select(stage.frozen)
        self.model.requires_grad_(True)
        for row in (self.table[name] for name in frozen):
            for own in row.parameters:
                self.model.get_parameter(row.tensor(own)).requires_grad_(False)
        modules = dict(self.model.named_modules())
        fixed = fixed_layers(self.table, frozen, self.training)
        self.fixed = [modules[name] for name in fixed if name in modules]
        self._cache(same_rows(self.table, frozen, self.training) if frozen and self.training.cache_features else 0)
        free = {name: one for name, one in self.model.named_parameters() if one.requires_grad}
        return create_optimizer(self.training.optimizer, free, stage.lr, self.table)

    @torch.no_grad()
    def _cache(self, rows: int) -> None:
        """From here on, run the network from what its first `rows` rows make of every image: computed once, now."""
        self.features, self.feed.features = {}, None
        self.forward = self.model if self.start is None else self._scaled
        if not rows:
            return
        first, rest = build.split(self.model, self.table, rows)
        began, steps = time.monotonic(), -(-len(self.feed) // self.training.batch_size)
        self.model.eval()
        with self._precision():
            self.feed.shuffle_epoch(0, torch.arange(len(self.feed)))
            train = _joined((first(self.feed.batch(step)[0]) for step in range(steps)), len(self.feed))
            self.feed.features = train
            for split in (self.data.valid, self.data.test):
                self.features[split] = _joined((first(batch) for batch in self._batches(split)), len(split))
        self.forward = rest
        size = sum(kept.nbytes for kept in (train, *self.features.values())) / 1e6
        place = f"the first {rows} of {len(self.table.layers)} rows"
        log(self.seed, f"{place} are computed once: {size:,.0f} MB, {clock(time.monotonic() - began)}")

    def _trained_on(self) -> Iterable[Tensor]:
        """The images of the epoch that was trained last, in its batches."""
        return (self.feed.batch(step)[0] for step in range(self.steps))

    def _batches(self, split: Split) -> Iterable[Tensor]:
        """What the network is evaluated on, in batches: the images of a split, or what is kept of them."""
        if split in self.features:
            batches: Iterable[Tensor] = self.features[split].split(self.evaluated)
            return batches
        return (self.data.batch(images) for images in split.images.split(self.evaluated))

    def _is_over(self, number: int) -> bool:
        """Whether a stage is over: all of its epochs are trained, or it has stopped early."""
        losses = self.state.valid_losses(number)
        return len(losses) >= self.training.stages[number].epochs or stops_early(self.training.early_stopping, losses)

    # ------------------------------------------------------------------------------------- one epoch

    def train_epoch(self, optimizer: torch.optim.Optimizer, first: int) -> Score:
        """Train the next epoch of the stage from its step `first` on; the mean score of its batches, as they were
        trained on."""
        self.model.train()
        for module in self.fixed:
            module.eval()
        epoch, stage = self.state.epoch + 1, self.training.stages[self.state.stage]
        losses = self.state.valid_losses(self.state.stage)
        torch.manual_seed(streams.key(self.seed, f"{self.stream}dropout", epoch))
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        if first:
            self._restore_epoch(sums)
        self.feed.shuffle_epoch(epoch)
        began = logged = time.monotonic()
        for step in range(first, self.steps):
            self.lr = learning_rate(stage, len(losses) * self.steps + step, self.steps, losses)
            set_rate(optimizer, self.lr)
            sums += self.train_step(*self.feed.batch(step), optimizer)
            if time.monotonic() - logged > LOG_SECONDS:
                logged = time.monotonic()
                self._log_step(step + 1, sums, (logged - began) * (step + 1) / (step + 1 - first))
            if step + 1 < self.steps:
                self._checkpoint(optimizer, step + 1, sums)
        if self.tracker:
            self.tracker.close()
        count = min(self.steps * self.training.batch_size, len(self.feed))
        loss, accuracy = (sums / count).tolist()
        self.state.images += count - first * self.training.batch_size
        self.state.train_seconds += time.monotonic() - began
        return Score(loss, accuracy)

    def _restore_epoch(self, sums: Tensor) -> None:
        """Put the sums and the random generators back to where a checkpoint interrupted the epoch."""
        sums += self.interrupted["sums"].to(self.device)
        torch.set_rng_state(self.interrupted["cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(self.interrupted["cuda"], self.device)

    def _log_step(self, step: int, sums: Tensor, seconds: float) -> None:
        """Print loss and accuracy after so many steps of an epoch, which took so many seconds."""
        epoch, epochs, count = self.state.epoch + 1, self.training.epochs, step * self.training.batch_size
        left = (epochs - epoch + 1 - step / self.steps) * seconds * self.steps / step
        place = f"epoch {epoch}/{epochs} {step / self.steps:4.0%}"
        log(self.seed, step_line(place, Score(*(sums / count).tolist()), count / seconds, left))

    def train_step(self, batch: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
        """One step of the optimizer; (summed loss, right answers) as float64 [2], still on the device."""
        optimizer.zero_grad(set_to_none=True)
        with self._precision():
            outputs = self.forward(batch)
            loss = functional.cross_entropy(outputs.float(), labels, label_smoothing=self.training.label_smoothing)
        total = loss + self._elastic_net(self.penalty) if self.penalty else loss
        total.backward()
        self.pruned.clear_gradients()
        if self.tracker:
            self.tracker.add_gradients()
        if self.training.clip_norm:
            free = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(free, self.training.clip_norm)
        optimizer.step()
        self.pruned.clear_values()
        if self.tracker:
            self.tracker.add_values()
        if self.average:
            self.average.add_step(self.model)
        return torch.stack([loss.detach().double() * len(labels), (outputs.argmax(1) == labels).sum().double()])

    def _elastic_net(self, penalty: Penalty) -> Tensor:
        """The penalty on the weights, not the biases, of its layers: weight (alpha sum |w| + (1 - alpha) sum w^2).

        Zou & Hastie 2005 with Keras's l1_l2: no factor 1/2 on the squares. Recorded losses are without it.
        """
        weights = [self.model.get_parameter(f"{name}.weight") for name in self.penalised]
        zero = torch.zeros((), device=self.device)
        absolute, square = sum((w.abs().sum() for w in weights), zero), sum((w.square().sum() for w in weights), zero)
        return penalty.weight * (penalty.alpha * absolute + (1 - penalty.alpha) * square)

    def _precision(self) -> AbstractContextManager[object]:
        is_mixed = self.training.precision == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if is_mixed else nullcontext()

    # ---------------------------------------------------------------------------- after each epoch

    @torch.inference_mode()
    def evaluate(self, split: Split) -> Evaluation:
        """The score of a split in evaluation mode, and which of its images are classified right."""
        model = self.kept_model.eval()
        forward = model if self.average else self.forward
        total, right = torch.zeros((), dtype=torch.float64, device=self.device), []
        for batch, labels in zip(self._batches(split), split.labels.split(self.evaluated), strict=True):
            with self._precision():
                outputs = forward(batch).float()
            loss = functional.cross_entropy(outputs, labels, reduction="sum")
            total += loss.double()
            right.append(outputs.argmax(1) == labels)
        every = torch.cat(right)
        sums = torch.stack([total, every.sum().double()])  # one reading from the device
        return Evaluation(Score(*(sums / len(split)).tolist()), every)

    def _finish_epoch(self, train: Score, seconds: float) -> bool:
        """Evaluate, add a row to the metrics, keep the snapshots; False where the run has diverged."""
        state, epoch = self.state, self.state.epoch
        stage, lr = (state.stage, self.lr) if epoch else (None, None)
        (valid, _), (test, right) = self.evaluate(self.data.valid), self.evaluate(self.data.test)
        values = (self.cell_id, self.seed, epoch, stage, lr, *train, *valid, *test, seconds)
        speed = len(self.feed) / seconds if seconds else math.nan
        state.rows.append(dict(zip(store.METRICS, (*values, speed), strict=True)))
        self.recorder.write_metrics(state.rows)
        sound = epoch == 0 or all(loss < DIVERGED for loss in (train.loss, valid.loss))
        if sound:
            is_last = stage == len(self.training.stages) - 1 and self._is_over(stage)
            self.recorder.keep_snapshots(self.kept_model, state, valid.accuracy, is_last)
            right = right.cpu()
            self.right |= {"last": right} | ({"best_valid": right} if epoch and state.best_epoch == epoch else {})
        seconds_spent = time.monotonic() - self.began
        log(self.seed, epoch_line(state, self.training.epochs, seconds_spent, train, valid, test))
        return sound

    # ------------------------------------------------------------------------------------- smoke test

    def try_step(self) -> float:
        """The loss of one step from a drawn start, and nothing kept: does this network take these images?"""
        starts.initialise(self.model, self.table, self.settings.start, self.seed)
        self._place_model({})
        self._scale_outputs(self.model.state_dict())
        self.model.train()
        optimizer = self.enter_stage(self.training.stages[0])
        self.feed.shuffle_epoch(1, torch.arange(min(len(self.feed), self.training.batch_size)))
        images, labels = self.feed.batch(0)
        return float(self.train_step(images, labels, optimizer)[0]) / len(labels)


def _joined(parts: Iterable[Tensor], count: int) -> Tensor:
    """The rows of tensors, `count` in all, one after another: each is written where it belongs as it comes, so that no
    two copies of all of them are in memory."""
    joined, done = torch.empty(0), 0
    for part in parts:
        if not done:
            joined = part.new_empty((count, *part.shape[1:]))
            if part.dim() == 4:
                joined = joined.to(memory_format=torch.channels_last)
        joined[done : done + len(part)] = part
        done += len(part)
    return joined


def penalised_layers(table: Table, layers: list[str] | None) -> list[str]:
    """The convolutions and linear layers that a penalty on `layers` is for: the last layer where None."""
    if layers is None:
        return [table.head.name]
    return [name for name in table.select(layers) if table[name] in table.weight_layers]


def steps_per_epoch(count: int, batch: int, table: Table) -> int:
    """Steps per epoch; a last batch of one image is left out where BatchNorm could not take it."""
    has_single = count % batch == 1 and count > 1 and any(layer.is_batchnorm for layer in table.layers)
    return -(-count // batch) - has_single
