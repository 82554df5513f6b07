"""Training: one rule for every kind of start; other kinds of run inherit from it.

The snapshots are no output: Snakemake would remove them whenever it starts the job again, and they take hours to make.
The launcher keeps those that are whole, and makes run.json and metrics.csv from what lies beside them.
"""


rule train:
    input:
        script=script("train.py"),
        code=cell_imports,
        card=cell_card,
        data=ancient(cell_data),
        weights=cell_weights,
        runs=parent_runs,
        again=again,
    output:
        run="<cells>/{cell}/seeds_{first}-{last}/run.json",
        metrics="<cells>/{cell}/seeds_{first}-{last}/metrics.csv",
    log:
        "<logs>/train/{cell}/seeds_{first}-{last}.log",
    benchmark:
        "<logs>/benchmarks/train/{cell}/seeds_{first}-{last}.tsv"
    wildcard_constraints:
        cell=r"base-[a-z0-9_.-]+",
    priority: cell_priority
    retries: ATTEMPTS
    conda:
        "../envs/atlas.yaml"
    threads: cell_threads
    resources:
        mem_mb=cell_memory,
        runtime=cell_runtime,
        gpu=cell_gpu,
        attempt=which_attempt,
        device=PLAN.config.device,
        jobs=PLAN.config.jobs_per_gpu,
        failures=PLAN.config.failures,
        keep=cell_keep,
    params:
        cell=cell_settings,
        weights=lambda wildcards, input: f"--weights {shlex.quote(str(input.weights))}" if input.weights else "",
        parents=parent_blocks,
        attempts=ATTEMPTS,
    message:
        "training {wildcards.cell}, replicates {wildcards.first} to {wildcards.last}"
    shell:
        "python {input.script:q} --cell-id {wildcards.cell} --cell {params.cell:q} --data {input.data:q} "
        "--card {input.card:q} {params.weights} --parents {params.parents:q} --code {input.code:q} "
        "--output $(dirname {output.run:q}) --log {log:q} --device {resources.device} "
        "--jobs-per-gpu {resources.jobs} --keep {resources.keep} "
        "--attempt {resources.attempt} --attempts {params.attempts} --failures {resources.failures}"
