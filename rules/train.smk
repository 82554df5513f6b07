"""Training: one rule for every kind of start; other kinds of run inherit from it.

The snapshots are no output: Snakemake would remove them whenever it starts the job again, and they take hours to make.
The launcher keeps those that are whole, and makes run.json and metrics.csv from what lies beside them. The stamp alone
says whether a block is trained again (weight_atlas/plan/outdated.py). In a storage they must be outputs, since
nothing else is copied to it: there each attempt begins anew.
"""

SNAPSHOTS = {"snapshots": directory("<cells>/{cell}/seeds_{first}-{last}/snapshots")} if STORED else {}


rule train:
    input:
        stamp=JOBS.block_stamp,
        card=settled(JOBS.cell_card),
        data=settled(JOBS.cell_data),
        weights=settled(JOBS.cell_weights),
        runs=settled(JOBS.parent_runs),
        snapshots=settled(JOBS.parent_snapshots),
    output:
        **SNAPSHOTS,
        run="<cells>/{cell}/seeds_{first}-{last}/run.json",
        metrics="<cells>/{cell}/seeds_{first}-{last}/metrics.csv",
    log:
        "<logs>/train/{cell}/seeds_{first}-{last}.log",
    benchmark:
        "<logs>/benchmarks/train/{cell}/seeds_{first}-{last}.tsv"
    wildcard_constraints:
        cell=cells_of("base"),
    priority: JOBS.priority
    retries: jobs.ATTEMPTS
    conda:
        "../envs/atlas.yaml"
    threads: JOBS.threads
    resources:
        mem_mb=JOBS.memory,
        runtime=JOBS.runtime,
        gpu=JOBS.gpu,
        attempt=jobs.attempt_number,
        device=PLAN.config.device,
        jobs=PLAN.config.jobs_per_gpu,
        failures=PLAN.config.failures,
        keep=JOBS.cell_keep,
        scripts=SCRIPTS,
        adopt="--adopt" if PLAN.config.adopt else "",
    params:
        cell=JOBS.cell_settings,
        weights=JOBS.weights_option,
        parents=JOBS.parent_blocks,
        attempts=jobs.ATTEMPTS,
    message:
        "training {wildcards.cell}, replicates {wildcards.first} to {wildcards.last}"
    shell:
        "source {resources.scripts:q}/job.sh; "
        "python {resources.scripts:q}/train.py --cell-id {wildcards.cell} --cell {params.cell:q} --data {input.data:q} "
        "--card {input.card:q} {params.weights} --parents {params.parents:q} {resources.adopt} "
        '--output "$(dirname {output.run:q})" --log {log:q} --device {resources.device} '
        "--jobs-per-gpu {resources.jobs} --keep {resources.keep} "
        "--attempt {resources.attempt} --attempts {params.attempts} --failures {resources.failures}"
