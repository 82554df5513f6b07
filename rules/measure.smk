"""Measures: one job for all cells that share data set and architecture, then one that joins their tables."""


# A checkpoint, though nothing asks for what it finds: when it has run, Snakemake looks again at what follows. As a rule
# it would keep a measure whose settings or code changed with it from running, since `ancient` makes no job follow.
checkpoint cells:
    input:
        script=JOBS.script("cells.py"),
        code=JOBS.imports("cells.py"),
    output:
        cells="<results>/cells.csv",
        config="<results>/config.json",
    log:
        f"<logs>/cells/{PLAN.config.name}.log",
    benchmark:
        f"<logs>/benchmarks/cells/{PLAN.config.name}.tsv"
    priority: FIRST
    localrule: True
    conda:
        "../envs/atlas.yaml"
    params:
        config=json.dumps(LASTING),
        layout=JOBS.layout,
        command=command(),
        retry=RETRY,
    message:
        "listing the cells"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; logged {log:q} '
        "python {input.script:q} --config {params.config:q} --command {params.command:q} --retry {params.retry:q} "
        "--cells {output.cells:q} --resolved {output.config:q}"


rule measure:
    input:
        script=JOBS.script("measure.py"),
        code=JOBS.group_imports,
        cells=ancient("<results>/cells.csv"),
        config=ancient("<results>/config.json"),
        runs=JOBS.group_runs,
        snapshots=JOBS.group_snapshots,
        card=JOBS.group_card,
        data=ancient(JOBS.group_data),
    output:
        directory("<results>/measures/{group}"),
    log:
        f"<logs>/measure/{PLAN.config.name}/{{group}}.log",
    benchmark:
        f"<logs>/benchmarks/measure/{PLAN.config.name}/{{group}}.tsv"
    conda:
        "../envs/atlas.yaml"
    resources:
        mem_mb=JOBS.group_memory,
        runtime=JOBS.group_runtime,
        gpu=JOBS.group_gpu,
        device=PLAN.config.device,
        jobs=PLAN.config.jobs_per_gpu,
    params:
        layout=JOBS.group_layout,
    message:
        "measuring {wildcards.group}"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; logged {log:q} '
        "python {input.script:q} --cells {input.cells:q} --group {wildcards.group} --data {input.data:q} "
        "--card {input.card:q} --threads {threads} --device {resources.device} --jobs-per-gpu {resources.jobs} "
        "--output {output:q}"


rule collect:
    input:
        script=JOBS.script("collect.py"),
        code=JOBS.imports("collect.py"),
        cells="<results>/cells.csv",
        config="<results>/config.json",
        runs=JOBS.block_files("run.json"),
        metrics=JOBS.block_files("metrics.csv"),
        measures=JOBS.measures(),
        cards=JOBS.cards(),
    output:
        report(
            directory("<results>/tables"),
            patterns=["{table}.csv"],
            category="Tables",
            labels={"table": "{table}"},
            caption="../report/table.rst",
        ),
    log:
        f"<logs>/collect/{PLAN.config.name}.log",
    benchmark:
        f"<logs>/benchmarks/collect/{PLAN.config.name}.tsv"
    conda:
        "../envs/atlas.yaml"
    params:
        thresholds=JOBS.thresholds,
    message:
        "joining the tables"
    shell:
        'source "$(dirname {input.script:q})/job.sh"; logged {log:q} '
        "python {input.script:q} --cells {input.cells:q} --measures {input.measures:q} --cards {input.cards:q} "
        "--thresholds {params.thresholds:q} --output {output:q}"
