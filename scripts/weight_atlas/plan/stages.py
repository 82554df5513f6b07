"""What the console says of the stages at whose ends a config copies and freezes the first layers of its networks."""

from weight_atlas.plan.study import Plan


def lines(plan: Plan) -> list[str]:
    """A line for each network of a transfer with `depths: stages`: how many layers with weights there are up to the end
    of each stage, and what ends it."""
    found: dict[str, str] = {}
    for entry in plan.entries:
        design = plan.config.definitions[entry.study]
        transfer = design.transfer.get(entry.labels.get("experiment", ""))
        if transfer and transfer.depths == "stages":
            table = plan.cells[entry.cell_id].table
            ends = [f"{depth} ({table.stage_name(depth)})" for depth in table.stages]
            layers = f"{len(table.weight_layers)} layers with weights"
            found[entry.labels["network"]] = f"{layers} in {len(ends)} stages, up to {', '.join(ends)}"
    return [f"network {label}: {said}" for label, said in found.items()]
