"""What the plan says that an experiment asks: by labels and settings, whatever the names are."""

import copy
import json

import pytest

from weight_atlas.plan import outcome
from weight_atlas.plan.checks import ConfigError
from weight_atlas.plan.study import Plan
from weight_atlas.shapes import SHOWN, Experiment, Shape

CONFIG = {
    "name": "mine",
    "datasets": {
        "digits": {"source": "digits"},
        "few": {"source": "digits", "per_class": {"train": 10}},
        "more": {"source": "digits", "per_class": {"train": 20}},
        "low": {"source": "digits", "classes": [0, 1, 2, 3, 4]},
    },
    "networks": {"lenet5": {}, "lenet1": {}, "handmade": {"architecture": "handmade_resnet", "width": 0.25}},
    "optimizers": {"sgd": {"type": "sgd", "lr": 0.1}, "adam": {"type": "adam", "lr": 0.001}},
    "perturbations": {"flip": {"type": "flip"}},
    "training": {"epochs": 3, "batch_size": 64},
}
GRID = {"dataset": ["digits"], "network": ["lenet5"], "init": ["default"], "optimizer": ["sgd"]}


def planned(design):
    """The one experiment of a study with this design."""
    [found] = Plan(CONFIG | {"definitions": {"study": design}}).experiments
    return found


def batch(*sizes):
    return {"some": {f"level-{size}": {"training": {"batch_size": size}} for size in sizes}}


@pytest.mark.parametrize(
    "overrides, numbers, setting",
    [
        ([{"set": {"lr": 0.2}}, {"set": {"lr": 0.02}}], (0.02, 0.2), "training.optimizer.lr"),
        (
            [{}, {"training": {"batch_size": 16}}, {"training": {"batch_size": 128}}],
            (16, 64, 128),
            "training.batch_size",
        ),
        ([{"training": {"epochs": 5}}, {"training": {"epochs": 2}}], (2, 5), "training.epochs"),
        ([{"dataset": "more"}, {"dataset": "few"}], (10, 20), "data.per_class.train"),
    ],
)
def test_one_axis_that_sets_one_number_is_a_sweep(overrides, numbers, setting):
    vary = {"axis": {f"token{at}": level for at, level in enumerate(overrides)}}
    found = planned({"grid": GRID, "vary": vary})
    assert found.shapes == (Shape.SWEEP,)
    [axis] = found.axes
    assert (axis.numbers, axis.setting) == (numbers, setting)
    values = {f"token{at}": level for at, level in enumerate(overrides)}
    assert [values[level] for level in axis.levels] == sorted(overrides, key=lambda level: number(level, setting))


def number(level, setting):
    """The number that a level of the sweeps above sets."""
    if "dataset" in level:
        return CONFIG["datasets"][level["dataset"]]["per_class"]["train"]
    inner = level.get("training") or level.get("set") or {}
    return inner.get(setting.rpartition(".")[2], 64)


@pytest.mark.parametrize(
    "vary, why",
    [
        ({"one": {"a": {"network": "lenet1"}, "b": {}}}, "names"),
        ({"one": {"a": {"set": {"lr": 0.2}, "training": {"batch_size": 8}}, "b": {}}}, "two settings at once"),
        ({"one": {"a": {"optimizer": "adam"}, "b": {}}}, "another optimizer"),
    ],
)
def test_one_axis_of_anything_else_is_a_comparison(vary, why):
    found = planned({"grid": GRID, "vary": vary})
    assert found.shapes == (Shape.COMPARISON,), why
    assert found.axes[0].reference == "b", "the level that changes nothing"
    assert found.families == (), "what a level sets is no family"


def test_the_config_says_the_reference():
    vary = {"one": {"a": {"network": "lenet1"}, "b": {}}}
    assert planned({"grid": GRID, "vary": vary, "reference": {"one": "a"}}).axes[0].reference == "a"


def test_changes_that_add_up_are_a_path():
    steps = {"first": {}, "second": {"optimizer": "adam"}, "third": {"optimizer": "adam", "network": "lenet1"}}
    found = planned({"grid": GRID, "vary": {"step": steps}})
    assert found.shapes == (Shape.PATH,)
    assert found.axes[0].after == {"second": "first", "third": "second"}


def test_a_path_that_is_said_has_the_nearest_earlier_level_or_the_named_one():
    batches = {"training": {"batch_size": 8}}
    steps = {"a": {}, "b": {"optimizer": "adam"}, "c": batches, "d": batches | {"set": {"momentum": 0.5}}}
    design = {"grid": GRID, "vary": {"step": steps}, "order": "path"}
    assert planned({**design, "order": None}).shapes == (Shape.COMPARISON,)
    assert planned(design).axes[0].after == {"b": "a", "c": "a", "d": "c"}
    assert planned(design | {"after": {"d": "b"}}).axes[0].after == {"b": "a", "c": "a", "d": "b"}


def test_two_axes_are_a_factorial_and_a_second_network_a_family():
    design = {"grid": GRID | {"optimizer": ["sgd", "adam"], "network": ["lenet5", "lenet1"]}, "vary": batch(16, 32)}
    found = planned(design)
    assert found.shapes == (Shape.FACTORIAL,) and found.complete
    assert [axis.name for axis in found.axes] == ["optimizer", "some"] and found.families == ("network",)
    less = planned(design | {"exclude": [{"network": "lenet1", "optimizer": "adam"}]})
    assert less.shapes == (Shape.FACTORIAL,) and not less.complete


def test_networks_alone_are_compared_unless_others_start_from_them():
    grid = GRID | {"network": ["lenet5", "lenet1"]}
    assert [axis.name for axis in planned({"grid": grid}).axes] == ["network"]
    found = planned({"grid": grid, "perturb": [{"perturbations": ["flip"]}]})
    assert (found.shapes, found.axes, found.families) == ((Shape.PERTURBED,), (), ("network",))


def test_children_checkpoints_stages_and_augmentation():
    transfer = {"grid": GRID | {"dataset": ["digits", "low"]}, "transfer": {"t": {"base": "digits", "target": "low"}}}
    assert planned(transfer).shapes == (Shape.TRANSFERRED,)
    named = {"grid": GRID | {"optimizer": ["sgd", "adam"]}, "checkpoints": [{"epochs": {"first": 0, "last": 3}}]}
    assert planned(named).shapes == (Shape.COMPARISON, Shape.CHECKPOINTED)
    staged = {"grid": GRID, "training": {"stages": [{"epochs": 1, "frozen": 1}, {"epochs": 1}]}}
    assert planned(staged).shapes == (Shape.STAGED,)
    pictures = {"grid": GRID, "vary": {"x": {"a": {}, "b": {"training": {"copies": [{}, {"rotation": 20}]}}}}}
    assert planned(pictures).shapes == (Shape.COMPARISON, Shape.AUGMENTED)


def test_a_transfer_belongs_to_the_experiment_that_has_it():
    inner = {"grid": GRID | {"dataset": ["digits", "low"]}, "transfer": {"t": {"base": "digits", "target": "low"}}}
    study = {"experiments": {"one": inner, "two": {"grid": GRID, "vary": batch(8, 16)}}}
    one, two = Plan(CONFIG | {"definitions": {"study": study}}).experiments
    assert (one.name, one.shapes) == ("one", (Shape.TRANSFERRED,))
    assert (two.name, two.shapes) == ("two", (Shape.SWEEP,))


@pytest.mark.parametrize(
    "said, message",
    [
        ({"reference": {"som": "level-16"}}, "reference: 'som' is not an axis that varies here; did you mean 'some'?"),
        ({"reference": {"some": "level-1"}}, "reference.some: no cell here has the label 'level-1'; did you mean"),
        ({"order": "path"}, "order: is for one axis of changes, and here its levels are numbers; leave it out"),
        ({"of": ["acuracy"]}, "of.0: names 'acuracy'; did you mean 'accuracy'?"),
    ],
)
def test_what_the_cells_do_not_have_is_refused(said, message):
    with pytest.raises(ConfigError, match="definitions.study") as error:
        planned({"grid": GRID, "vary": batch(16, 32)} | said)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "after, message",
    [
        ({"b": "d"}, "after: no cell here has the label 'd'; allowed: a, b"),
        ({"a": "b"}, "after.a: 'b' does not stand before it; give an earlier level"),
    ],
)
def test_a_step_follows_an_earlier_one(after, message):
    with pytest.raises(ConfigError) as error:
        planned({"grid": GRID, "vary": {"x": {"a": {}, "b": {"optimizer": "adam"}}}, "after": after})
    assert message in str(error.value)


def test_outcomes_are_those_of_the_vocabulary_or_columns():
    assert planned({"grid": GRID, "vary": batch(8, 16)}).of == ("accuracy",)
    assert (
        planned({"grid": GRID, "vary": batch(8, 16), "of": ["gap", "runs.wall_seconds"]}).of[1] == "runs.wall_seconds"
    )


def test_an_experiment_survives_json():
    steps = {"first": {}, "second": {"optimizer": "adam"}, "third": {"optimizer": "adam", "network": "lenet1"}}
    found = planned({"grid": GRID, "vary": {"step": steps}, "question": "What helps?"})
    assert Experiment.parse(json.loads(json.dumps(found.json))) == found


def test_names_decide_nothing():
    vary = {"rate": {"0.2": {"set": {"lr": 0.2}}, "0.02": {"set": {"lr": 0.02}}, "0.002": {}}}
    plain = planned({"grid": GRID, "vary": vary})
    renamed = planned(
        {"grid": GRID, "vary": {"zzz": {f"t{at}": level for at, level in enumerate(vary["rate"].values())}}}
    )
    words = {"zzz": "rate", "t0": "0.2", "t1": "0.02", "t2": "0.002"}
    text = json.dumps(renamed.json)
    for token, word in words.items():
        text = text.replace(f'"{token}"', f'"{word}"')
    assert json.loads(text) == json.loads(json.dumps(plain.json))


def test_the_plan_prints_shapes_and_what_is_shown():
    config = copy.deepcopy(CONFIG) | {"definitions": {"study": {"grid": GRID, "vary": batch(16, 32)}}}
    told = outcome.table(Plan(config), set())
    assert "  asks      sweep of some (level-16, level-32)" in told
    assert f"  shows     {SHOWN[Shape.SWEEP]}" in told
    assert set(SHOWN) == set(Shape)
