"""The lines that a training prints; `weight_atlas.plan.progress` reads them in the log."""

from weight_atlas.training.state import Score, State


def log(seed: int, text: str) -> None:
    """Print a line about a replicate."""
    print(f"seed {seed}  {text}", flush=True)


def step_line(place: str, score: Score, images_per_second: float, seconds_left: float) -> str:
    """The line within an epoch: loss and accuracy so far, speed, time left."""
    speed = f"{images_per_second:,.0f} images/s"
    return f"{place}  loss {score.loss:.4f}  train {score.accuracy:.2%}  {speed}  {clock(seconds_left)} left"


def epoch_line(state: State, epochs: int, seconds: float, train: Score, valid: Score, test: Score) -> str:
    """The line at the end of an epoch; seconds: since training began."""
    epoch = state.epoch
    left = f"  {clock(seconds / epoch * (epochs - epoch))} left" if epoch else ""
    trained = f"  loss {train.loss:.4f}  train {train.accuracy:.2%}" if epoch else ""
    speed = f"  {state.images / state.train_seconds:,.0f} images/s" if state.train_seconds else ""
    accuracies = f"valid {valid.accuracy:.2%}  test {test.accuracy:.2%}"
    return f"epoch {epoch}/{epochs}{trained}  {accuracies}{speed}{left}"


def clock(seconds: float) -> str:
    """Seconds for a reader: 45 s, 3 min 20 s, 2 h 05 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
